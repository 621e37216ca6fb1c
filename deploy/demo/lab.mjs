// The stage: free ports, a temporary directory, the processes and their end.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
const tools = path.join(root, '.tools');
const envoy = path.join(tools, 'venv/bin/envoy');

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export const temporaryDirectory = () => fs.mkdtempSync(path.join(os.tmpdir(), 'keybound-demo-'));

/// As many distinct free loopback ports as there are names: all are held until the last is found.
export async function freePorts(names) {
  const held = await Promise.all(
    names.map(
      () =>
        new Promise((resolve, reject) => {
          const server = net.createServer().once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = Object.fromEntries(names.map((name, i) => [name, held[i].address().port]));
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export function writePki(directory) {
  const made = spawnSync(path.join(tools, 'venv/bin/python'), [path.join(root, 'deploy/demo/pki.py'), directory], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`the demo's certificates could not be made:\n${made.stderr}`);
}

/// The shipped Envoy configuration with the demo's ports and files. Each replaced text must be there exactly once, so
/// that the demo cannot drift away from what is shipped.
export function renderEnvoy(file, { pki, ports }) {
  let text = fs.readFileSync(path.join(root, 'deploy/envoy/envoy.yaml'), 'utf8');
  const replace = (from, to) => {
    const parts = text.split(from);
    if (parts.length !== 2) throw new Error(`deploy/envoy/envoy.yaml holds ${parts.length - 1} times: ${from}`);
    text = parts.join(to);
  };
  replace('/etc/envoy/tls/server.crt', `${pki}/server.crt`);
  replace('/etc/envoy/tls/server.key', `${pki}/server.key`);
  replace('/etc/envoy/tls/clients-ca.crt', `${pki}/ca.crt`);
  if (ports) {
    replace('address: 0.0.0.0, port_value: 10443', `address: 127.0.0.1, port_value: ${ports.edge}`);
    replace('port_value: 9901', `port_value: ${ports.admin}`);
    replace('port_value: 9191', `port_value: ${ports.check}`);
    replace('port_value: 8080', `port_value: ${ports.upstream}`);
    // An unoptimised keybound on a busy laptop: the story is about codes, not about speed.
    replace('timeout: 0.25s', 'timeout: 5s');
  }
  fs.writeFileSync(file, text);
}

export function validateEnvoy(file) {
  const run = spawnSync(envoy, ['--mode', 'validate', '--config-path', file, '--log-level', 'error'], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`Envoy refuses the configuration:\n${run.stderr}`);
}

/// A copy of the shipped bundle. Only dates change: an exception may end at most 180 days out, so a shipped one ages.
export function copyBundle(directory) {
  const soon = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
  fs.cpSync(path.join(root, 'policies'), directory, { recursive: true });
  for (const name of ['apis.yaml', 'clients.yaml']) {
    const file = path.join(directory, name);
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/^(\s*expires:\s*)\d{4}-\d{2}-\d{2}/gm, `$1${soon}`));
  }
}

/// @id → @reason of every policy in the bundle, for the line below a denial by policy.
export function reasons(directory) {
  const found = {};
  for (const name of fs.readdirSync(directory).filter((entry) => entry.endsWith('.cedar'))) {
    const text = fs.readFileSync(path.join(directory, name), 'utf8');
    for (const policy of text.split(/(?=@id\()/)) {
      const id = policy.match(/^@id\("([^"]+)"\)/)?.[1];
      if (id) found[id] = policy.match(/@reason\("([^"]+)"\)/)?.[1];
    }
  }
  return found;
}

/// The processes of one run. Each is stopped by its own id, last started first.
export class Stage {
  #running = [];
  #directory;
  #over = false;

  constructor(directory) {
    this.#directory = directory;
    // Whatever happens to this process, the others do not outlive it.
    process.on('exit', () => this.#living().forEach(({ child }) => child.kill('SIGKILL')));
  }

  log(name) {
    return path.join(this.#directory, `${name}.log`);
  }

  start(name, command, args, stdout = this.log(name)) {
    if (this.#over) throw new Error(`the run is over: ${name} is not started`);
    const [out, err] = [fs.openSync(stdout, 'a'), fs.openSync(this.log(name), 'a')];
    const child = spawn(command, args, { stdio: ['ignore', out, err], cwd: this.#directory });
    const started = { name, child, failure: null };
    child.on('error', (error) => (started.failure = error.message));
    fs.closeSync(out);
    fs.closeSync(err);
    this.#running.push(started);
  }

  startNode(name, script, args) {
    this.start(name, process.execPath, [path.join(root, 'deploy/demo', script), ...args.map(String)]);
  }

  startEnvoy(file, accessLog) {
    // A base id of its own lets it live beside any other Envoy of this machine.
    const args = ['--config-path', file, '--use-dynamic-base-id', '--concurrency', '2', '--log-level', 'warning'];
    this.start('envoy', envoy, [...args, '--file-flush-interval-msec', '50'], accessLog);
  }

  #living() {
    return this.#running.filter(({ child }) => child.pid && child.exitCode === null && child.signalCode === null);
  }

  /// The first process that ended although nobody stopped it, in words.
  casualty() {
    const dead = this.#running.find((one) => one.failure || one.child.exitCode !== null || one.child.signalCode !== null);
    if (!dead) return null;
    const tail = fs.readFileSync(this.log(dead.name), 'utf8').trimEnd().split('\n').slice(-15).join('\n');
    return `${dead.name} ended (${dead.failure ?? dead.child.exitCode ?? dead.child.signalCode})\n${tail}`;
  }

  async ready(name, probe, seconds) {
    const end = Date.now() + seconds * 1000;
    while (Date.now() < end) {
      const dead = this.casualty();
      if (dead) throw new Error(dead);
      if (await probe().catch(() => false)) return;
      await sleep(50);
    }
    throw new Error(`${name} was not ready within ${seconds} s (see ${this.log(name)})`);
  }

  async stop() {
    this.#over = true;
    for (const { child } of this.#living().reverse()) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const last = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(last);
    }
  }
}

/// Whether a plain HTTP probe on loopback answers 200.
export function answers(port, probe) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path: probe, timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
  });
}
