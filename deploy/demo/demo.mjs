// `make demo`: a real Envoy, a real authorization server, an API and keybound on loopback, and real clients that play
// the story of story.mjs through them. Exits 0 only if every step went as told. `KEEP=1` leaves it up until Ctrl-C;
// `--validate` lets Envoy check the shipped configuration and stops there.
import fs from 'node:fs';
import path from 'node:path';

import { callByTheBook, forgeProof, newClient, newProofKey, obtainToken, registration, transport } from './clients.mjs';
import * as lab from './lab.mjs';
import { issuers, resources, steps, tokens } from './story.mjs';

const KEEP = process.env.KEEP === '1';
const WHOLE_RUN_SECONDS = 90;
const keybound = process.env.KEYBOUND ?? path.join(lab.root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/keybound');

const say = (line = '') => process.stdout.write(`${line}\n`);
const hostOf = (address) => new URL(address).hostname;

function keyboundConfig({ directory, ports, servers }) {
  const trusted = servers.map(
    ({ issuer, jwks }) => `  - issuer: ${issuer}
    keys: { file: ${jwks} }
    audiences: [${Object.keys(resources).join(', ')}]
    algorithms: [ES256]
    max_lifetime_seconds: 300`,
  );
  return `listeners:
  check:
    - name: edge
      address: 127.0.0.1:${ports.check}
  probes: 127.0.0.1:${ports.probes}
bundle:
  directory: ${directory}/policies
issuers:
${trusted.join('\n')}
certificate:
  source: envoy_peer_certificate
  chain_verified_by: envoy
proofs:
  # Proofs are refused for this long after a start. One clock here, so that a second is plenty.
  future_skew_seconds: 1
limits:
  deadline_milliseconds: 3000
  drain_seconds: 1
log:
  allow_sample_percent: 100
`;
}

async function raise(stage, directory) {
  const ports = await lab.freePorts(['edge', 'admin', 'check', 'probes', 'upstream', ...issuers.map(hostOf)]);
  const pki = path.join(directory, 'pki');
  lab.writePki(pki);
  lab.copyBundle(path.join(directory, 'policies'));
  const clients = {};
  for (const [name, token] of Object.entries(tokens)) clients[name] = await newClient(token);

  const servers = issuers.map((issuer) => ({ issuer, name: hostOf(issuer), jwks: path.join(directory, `${hostOf(issuer)}.jwks.json`) }));
  for (const { issuer, name, jwks } of servers) {
    const file = path.join(directory, `${name}.json`);
    const own = Object.values(clients).filter((client) => client.issuer === issuer);
    const tls = { certificate: `${pki}/server.crt`, key: `${pki}/server.key`, client_ca: `${pki}/ca.crt` };
    const config = { issuer, port: ports[name], tls, jwks_file: jwks, resources, clients: own.map(registration) };
    fs.writeFileSync(file, JSON.stringify(config, null, 2));
    stage.startNode(name, 'as.mjs', [file]);
  }
  stage.startNode('upstream', 'upstream.mjs', [ports.upstream]);

  // Where the public names live on this machine: the hosts of the APIs are all Envoy's.
  const apis = [...new Set(steps.filter(({ request }) => request).map(({ request }) => hostOf(request.split(' ')[1])))];
  const send = transport({ pki, ports: { ...ports, ...Object.fromEntries(apis.map((host) => [host, ports.edge])) } });
  for (const { issuer, name } of servers) {
    const discovery = async () => (await send(`${issuer}/.well-known/openid-configuration`)).status === 200;
    await stage.ready(name, discovery, 30);
  }
  await stage.ready('upstream', () => lab.answers(ports.upstream, '/'), 10);

  const config = path.join(directory, 'keybound.yaml');
  fs.writeFileSync(config, keyboundConfig({ directory, ports, servers }));
  if (!fs.existsSync(keybound)) throw new Error(`${keybound} is missing: cargo build`);
  stage.start('keybound', keybound, ['serve', '--config', config]);
  await stage.ready('keybound', () => lab.answers(ports.probes, '/readyz'), 30);

  const accessLog = path.join(directory, 'access.log');
  lab.renderEnvoy(path.join(directory, 'envoy.yaml'), { pki, ports });
  stage.startEnvoy(path.join(directory, 'envoy.yaml'), accessLog);
  await stage.ready('envoy', () => lab.answers(ports.admin, '/ready'), 30);

  for (const client of Object.values(clients)) await obtainToken(send, client);
  return { directory, ports, pki, send, clients, accessLog, servers, apis, lastProof: undefined, stranger: await newProofKey() };
}

/// keybound's account of one request, from Envoy's access log.
async function decisionOf(scene, requestId) {
  for (const end = Date.now() + 5000; Date.now() < end; await lab.sleep(20)) {
    const lines = fs.readFileSync(scene.accessLog, 'utf8').split('\n').slice(0, -1);
    const line = lines.map((text) => JSON.parse(text)).find((entry) => entry.request_id === requestId);
    if (line) return line.decision ?? {};
  }
  throw new Error(`no line in the access log for request ${requestId}`);
}

async function act(scene, step) {
  const [method, url] = step.request.split(' ');
  const client = step.token && scene.clients[step.token];
  const certificate = step.certificate === undefined ? client?.certificate : (step.certificate ?? undefined);
  if (client && !step.as && !step.proof && !step.headers) {
    const played = await callByTheBook(scene.send, client, { method, url, certificate });
    scene.lastProof = played.proof;
    return played;
  }
  const headers = { ...step.headers };
  if (client) {
    const bound = client.handle ? 'DPoP' : 'Bearer';
    headers.authorization = `${step.as ?? bound} ${client.token}`;
    if (step.proof === 'again') headers.dpop = scene.lastProof;
    else if (client.handle && step.proof !== 'none') {
      const keys = step.proof?.key === 'stranger' ? scene.stranger : client.proofKey;
      headers.dpop = await forgeProof({ keys, url, method, ...step.proof, token: client.token });
    }
  }
  return { answer: await scene.send(url, { method, headers, certificate }) };
}

/// Envoy ends the handshake with a certificate it does not trust; depending on timing that is an alert or a reset.
async function refusedHandshake(scene, step) {
  const [method, url] = step.request.split(' ');
  const token = scene.clients[step.token].token;
  const call = scene.send(url, { method, headers: { authorization: `Bearer ${token}` }, certificate: step.certificate });
  return call.then(
    () => false,
    (error) => /SSL|TLS|ECONNRESET|EPIPE/.test(error.code),
  );
}

/// What differs between what was told and what happened; empty when it went as told.
function differences(step, client, { answer, asksForNonce }, decision) {
  const [status, code, policy] = step.expect;
  const found = [];
  const compare = (what, expected, actual) => {
    if (expected !== actual) found.push(`${what}: expected ${expected}, got ${actual}`);
  };
  compare('status', status, answer.status);
  compare('code', code, denialIn(decision));
  if (policy) compare(`policy ${policy} among ${decision.policies}`, true, (decision.policies ?? []).includes(policy));
  if (code === 'proof_nonce_required') compare('the client library understood the demand for a nonce', true, asksForNonce);
  if (code === null) {
    const [method, url] = step.request.split(' ');
    const served = JSON.parse(answer.body);
    compare('served', `${method} ${new URL(url).pathname}`, `${served.method} ${served.path}`);
    compare('identity told to the API', client?.id, served.identity['x-keybound-client']);
    for (const [name, value] of Object.entries(step.headers ?? {})) {
      const reached = name.startsWith('x-keybound-') ? served.identity[name] === value : served.names.includes(name);
      if (reached) found.push(`the forged ${name} reached the API`);
    }
  }
  return found;
}

/// The denial code of a decision; an allow has none.
const denialIn = (decision) => (decision.code && decision.code !== 'allowed' ? decision.code : null);

/// Why it was refused: what the authors of the deciding policies wrote, or what nobody wrote.
function reasonsOf(decision, why) {
  if (decision.code === 'operation_unknown') {
    const declarer = decision.api ? `the API ${decision.api} declares` : 'apis.yaml declares';
    return [`${declarer} no such operation, and what is not declared is refused`];
  }
  if (decision.code === 'policy_not_permitted') return ['no policy permits it'];
  if (!denialIn(decision)?.startsWith('policy_')) return [];
  return (decision.policies ?? []).map((id) => why[id]).filter(Boolean);
}

async function play(scene, why) {
  let failed = 0;
  say(`Each line is a request that a real client sends through Envoy. ✓ marks the right answer: an owner served, a thief
refused. ✗ marks a wrong one, and the lines below it say what was expected. HTTP is the status that the client got,
decision is keybound's code for why, policy is the rule that decided, if policy was asked.
`);
  say(`${' '.repeat(4)}${'what is tried'.padEnd(44)}${'HTTP'.padEnd(6)}${'decision'.padEnd(26)}policy`);
  for (const step of steps) {
    if (step.title) {
      say(`\n  ${step.title}`);
      continue;
    }
    const tell = (well, status, word, policies) =>
      say(`${well ? '  ✓ ' : '  ✗ '}${step.tell.padEnd(44)}${String(status).padEnd(6)}${word.padEnd(26)}${policies}`);
    if (step.expect === 'handshake refused') {
      const refused = await refusedHandshake(scene, step);
      tell(refused, '-', refused ? 'handshake refused' : 'let in', '-');
      failed += refused ? 0 : 1;
      continue;
    }
    const played = await act(scene, step);
    const decision = await decisionOf(scene, played.answer.headers['x-request-id']);
    const wrong = differences(step, step.token && scene.clients[step.token], played, decision);
    const policies = (decision.policies ?? []).join(', ') || '-';
    const word = denialIn(decision) ?? (decision.decision_id ? 'allowed' : '(none told)');
    tell(!wrong.length, played.answer.status, word, policies);
    for (const reason of reasonsOf(decision, why)) say(`${' '.repeat(6)}because: ${reason}`);
    if (step.headers && !wrong.length) {
      const served = JSON.parse(played.answer.body);
      say(`${' '.repeat(6)}what the API got: ${served.method} ${served.path} by ${served.identity['x-keybound-client']}`);
    }
    for (const line of wrong) say(`${' '.repeat(6)}${line}`);
    failed += wrong.length ? 1 : 0;
  }
  return failed;
}

/// For whoever stays: how to ask the running demo something. The token file is renewed while this process lives.
async function keepUp(scene, signal) {
  const [, holder] = Object.entries(scene.clients).find(([, client]) => client.spiffe_id);
  const file = path.join(scene.directory, 'token');
  const renew = async () => {
    await obtainToken(scene.send, holder);
    fs.writeFileSync(file, holder.token, { mode: 0o600 });
  };
  await renew();
  const timer = setInterval(() => renew().catch((error) => say(`the token could not be renewed: ${error.message}`)), 120_000);
  const curl = `curl --cacert ${scene.pki}/ca.crt --connect-to ::127.0.0.1:${scene.ports.edge}`;
  const certificate = `--cert ${scene.pki}/${holder.certificate}.chain.crt --key ${scene.pki}/${holder.certificate}.key`;
  const [, open] = steps[1].request.split(' ');
  const [, guarded] = steps.find(({ token }) => scene.clients[token] === holder).request.split(' ');
  say(`
Everything is up until Ctrl-C. Try:

  ${curl} ${open}
  ${curl} -i ${guarded}
  ${curl} ${certificate} -H "Authorization: Bearer $(cat ${file})" ${guarded}

  tail -f ${scene.accessLog}                  # every decision, as Envoy logs it
  curl http://127.0.0.1:${scene.ports.probes}/metrics
  edit ${scene.directory}/policies            # read again as soon as it changes
`);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(timer);
}

async function validate() {
  const directory = lab.temporaryDirectory();
  try {
    lab.writePki(directory);
    const file = path.join(directory, 'envoy.yaml');
    lab.renderEnvoy(file, { pki: directory });
    lab.validateEnvoy(file);
    say('deploy/envoy/envoy.yaml: Envoy accepts it');
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

/// Rejects at a signal or when the run takes too long; `done()` lifts the time limit.
function interruption() {
  const aborted = new AbortController();
  const limit = setTimeout(() => aborted.abort(new Error(`not done within ${WHOLE_RUN_SECONDS} s`)), WHOLE_RUN_SECONDS * 1000);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => aborted.abort(name));
  const rejected = new Promise((_, reject) => aborted.signal.addEventListener('abort', () => reject(aborted.signal.reason)));
  return { signal: aborted.signal, rejected, done: () => clearTimeout(limit) };
}

async function demo() {
  const directory = lab.temporaryDirectory();
  const stage = new lab.Stage(directory);
  const interrupted = interruption();
  let failed = null;
  const run = async () => {
    say('starting two authorization servers, an API, keybound and Envoy on loopback\n');
    const scene = await raise(stage, directory);
    failed = await play(scene, lab.reasons(path.join(directory, 'policies')));
    interrupted.done();
    if (KEEP) await keepUp(scene, interrupted.signal);
  };
  let broken = null;
  await Promise.race([run(), interrupted.rejected]).catch((reason) => (broken = reason));
  const casualty = failed === 0 ? null : stage.casualty();
  await stage.stop();

  const bySignal = typeof broken === 'string';
  if (bySignal && failed === null) say(`\nstopped by ${broken}`);
  if (broken && !bySignal) say(`\n${broken.message}`);
  if (casualty && casualty !== broken?.message) say(`\n${casualty}`);
  const well = failed === 0 && (!broken || bySignal);
  if (well) say('\nEvery answer was the right one. All processes are stopped.');
  else if (!bySignal || failed) say(`\nIt did not go as it should. Logs and configuration: ${directory}`);
  if (well || (bySignal && !failed)) fs.rmSync(directory, { recursive: true });
  return well ? 0 : 1;
}

if (process.argv.includes('--validate')) await validate();
else process.exit(await demo());
