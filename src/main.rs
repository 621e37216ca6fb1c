//! The command line: arguments to one of the commands.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use keybound::operator;

/// Checks are many small pieces of memory on a few threads.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// External authorization for Envoy: proves who sent a request (RFC 8705, RFC 9449) and decides with Cedar.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve Envoy's checks until SIGTERM
    Serve {
        /// The operator's file
        #[arg(long, value_name = "FILE", default_value = "keybound.yaml")]
        config: PathBuf,
    },
    /// Read everything that `serve` would read, say what is wrong with it, and exit
    Check {
        /// The operator's file
        #[arg(long, value_name = "FILE", default_value = "keybound.yaml")]
        config: PathBuf,
    },
    /// Revoke tokens, keys and certificates before their time
    Revoke(Box<operator::revoke::Arguments>),
    /// Prove a control by using it
    Drill(operator::drill::Arguments),
    /// About the operator's file
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print its JSON Schema
    Schema,
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        // Not locked: logs go to standard error too, from other threads.
        Command::Serve { config } => operator::serve::run(&config, &mut io::stderr()),
        Command::Check { config } => operator::check::run(&config, &mut io::stdout().lock()),
        Command::Revoke(asked) => operator::revoke::run(*asked, &mut io::stdout().lock(), &mut io::stderr()),
        Command::Drill(asked) => operator::drill::run(asked, &mut io::stdout().lock(), &mut io::stderr()),
        Command::Config { command: ConfigCommand::Schema } => operator::schema::run(&mut io::stdout().lock()),
    };
    // Whoever reads our output may have gone: that is no success.
    ended.unwrap_or(ExitCode::FAILURE)
}
