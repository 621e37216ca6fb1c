//! A TCP relay on loopback that can be told to lose, hold, cut and spoil what goes through it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What happens to what the server says. The first bytes of a connection always pass, so that it gets as far as answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nobody is let in.
    Refuse,
    /// Everything comes this much later.
    Delay(Duration),
    /// After some bytes, in the middle of a message, the connection ends.
    Truncate,
    /// After some bytes the rest is noise.
    Noise,
}

/// Bytes that pass at least, before something is cut or spoilt.
const LEAST: usize = 300;

struct Shared {
    mode: Mutex<Mode>,
    live: Mutex<Vec<TcpStream>>,
    stop: AtomicBool,
    to: u16,
}

/// It relays until it is dropped.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    /// To this port of loopback.
    pub fn to(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("a socket");
        let (mode, live, stop) = (Mutex::new(Mode::Pass), Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { mode, live, stop, to });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            while !accepting.stop.load(Ordering::Acquire) {
                match listener.accept() {
                    Ok((stream, _)) => join(&accepting, stream),
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Self { port, shared }
    }

    /// What happens from now on, to connections that are there too.
    pub fn mode(&self, mode: Mode) {
        *held(&self.shared.mode) = mode;
    }

    /// Ends every connection now.
    pub fn cut(&self) {
        for stream in held(&self.shared.live).drain(..) {
            end(&stream);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.cut();
    }
}

/// One that has ended already is as good.
fn end(stream: &TcpStream) {
    stream.shutdown(Shutdown::Both).unwrap_or_default();
}

fn join(shared: &Arc<Shared>, client: TcpStream) {
    if *held(&shared.mode) == Mode::Refuse {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", shared.to)) else { return };
    client.set_nonblocking(false).expect("a socket");
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a socket");
        held(&shared.live).push(stream.try_clone().expect("a socket"));
    }
    let (client_too, server_too) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
    let asked = Arc::clone(shared);
    std::thread::spawn(move || pump(&asked, client_too, server_too, false));
    let answered = Arc::clone(shared);
    std::thread::spawn(move || pump(&answered, server, client, true));
}

fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream, answers: bool) {
    let mut buffer = vec![0; 64 * 1024];
    let mut passed = 0;
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let chunk = &mut buffer[..length];
        let mode = if answers { *held(&shared.mode) } else { Mode::Pass };
        passed += length;
        let whole = match mode {
            Mode::Pass | Mode::Refuse => true,
            Mode::Delay(time) => {
                std::thread::sleep(time);
                true
            }
            Mode::Truncate => passed < LEAST,
            Mode::Noise => {
                if passed >= LEAST {
                    aws_lc_rs::rand::fill(chunk).expect("random bytes");
                }
                true
            }
        };
        // In the middle: of a frame's head, of a message, of its last byte, as it comes.
        let length = if whole { length } else { (passed * 31) % length };
        if to.write_all(&buffer[..length]).is_err() || !whole {
            break;
        }
    }
    end(&from);
    end(&to);
}
