// The callers of the story: a real OAuth client library for whoever plays by the rules (oauth4webapi), a proof
// library for whoever does not (dpop), and one way to the loopback ports that stand for the public hosts.
import fs from 'node:fs';
import https from 'node:https';

import { load } from './modules.mjs';

const oauth = await load('oauth4webapi');
const dpop = await load('dpop');
const jose = await load('jose');

/// Sends one request to the loopback port that plays the URL's host: name and SNI are the public ones, as behind DNS.
export function transport({ pki, ports }) {
  const read = (name) => fs.readFileSync(`${pki}/${name}`);
  const ca = read('ca.crt');
  return (address, { method = 'GET', headers = {}, body, certificate } = {}) => {
    const url = new URL(address);
    const identity = certificate && { cert: read(`${certificate}.chain.crt`), key: read(`${certificate}.key`) };
    const options = {
      host: '127.0.0.1',
      port: ports[url.hostname],
      servername: url.hostname,
      path: url.pathname + url.search,
      method,
      headers: { ...headers, host: url.host },
      agent: false,
      timeout: 10_000,
      ca,
      ...identity,
    };
    return new Promise((resolve, reject) => {
      const request = https.request(options, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const { statusCode: status, headers, rawHeaders } = response;
          resolve({ status, headers, rawHeaders, body: Buffer.concat(chunks).toString() });
        });
      });
      request.on('timeout', () => request.destroy(new Error(`${url.host} did not answer in time`)));
      request.on('error', reject);
      request.end(body === undefined || body === null ? undefined : String(body));
    });
  };
}

/// `fetch` for oauth4webapi over that transport; `seen` is told what really went over the wire and what came back.
function fetchThrough(send, certificate, seen = () => {}) {
  return async (url, { method, headers, body }) => {
    const answer = await send(url, { method, headers, body, certificate });
    seen({ url, method, headers, answer });
    const received = new Headers();
    const raw = answer.rawHeaders;
    for (let i = 0; i < raw.length; i += 2) received.append(raw[i], raw[i + 1]);
    return new Response(answer.body, { status: answer.status, headers: received });
  };
}

/// A client of the authorization server and the token it holds. `credential` is one row of the story's `credentials`.
export async function newClient(credential) {
  const client = { ...credential };
  if (credential.spiffe_id) return client;
  client.authentication = await jose.generateKeyPair('ES256');
  client.registered = { keys: [{ ...(await jose.exportJWK(client.authentication.publicKey)), use: 'sig', alg: 'ES256' }] };
  client.proofKey = await dpop.generateKeyPair('ES256');
  return client;
}

/// What the authorization server is told about the client.
export function registration(client) {
  const { id: client_id, spiffe_id, registered: jwks, unbound } = client;
  return spiffe_id ? { client_id, spiffe_id } : { client_id, jwks, dpop_bound: !unbound };
}

/// Gets an access token by client credentials; answers a demand for a nonce once, as oauth4webapi's users do.
export async function obtainToken(send, client) {
  const issuer = new URL(client.issuer);
  const through = { [oauth.customFetch]: fetchThrough(send, client.certificate) };
  const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...through });
  const server = await oauth.processDiscoveryResponse(issuer, discovered);
  const self = { client_id: client.id };
  const authentication = client.spiffe_id ? oauth.TlsClientAuth() : oauth.PrivateKeyJwt(client.authentication.privateKey);
  if (!client.spiffe_id && !client.unbound) client.handle = oauth.DPoP(self, client.proofKey);
  const parameters = { scope: client.scope, resource: client.resource };
  const ask = async () => {
    const options = { DPoP: client.handle, ...through };
    const answer = await oauth.clientCredentialsGrantRequest(server, self, authentication, parameters, options);
    return oauth.processClientCredentialsResponse(server, self, answer);
  };
  const granted = await ask().catch((error) => {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return ask();
  });
  client.token = granted.access_token;
}

/// Calls an API as the library does it: proof, scheme and nonce are its own business.
/// Returns the answer, and the proof that was sent; `asksForNonce` is whether the library understood such a demand.
export async function callByTheBook(send, client, { method, url, certificate }) {
  let sent;
  const through = fetchThrough(send, certificate, (exchange) => (sent = exchange));
  const options = { DPoP: client.handle, [oauth.customFetch]: through };
  let asksForNonce = false;
  try {
    await oauth.protectedResourceRequest(client.token, method, new URL(url), new Headers(), null, options);
  } catch (error) {
    // A challenge in the answer is part of the story; anything else is not.
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    asksForNonce = oauth.isDPoPNonceError(error);
  }
  return { answer: sent.answer, proof: sent.headers.dpop, asksForNonce };
}

/// A proof as an attacker would make one: any key, any URL, any method, for a token that may be someone else's.
export async function forgeProof({ keys, url, method, token }) {
  return dpop.generateProof(keys, url, method, undefined, token);
}

export const newProofKey = () => dpop.generateKeyPair('ES256');
