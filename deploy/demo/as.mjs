// An authorization server for the demo: oidc-provider on loopback, client credentials only.
//
// usage: as.mjs CONFIG.json
//
//   issuer     its name, https without a port; clients reach it on 127.0.0.1:port under that name
//   port       where it listens (https; client certificates are requested, not required)
//   tls        { certificate, key, client_ca }: PEM files
//   jwks_file  where its public keys are written before it listens
//   resources  { audience: "scopes it may carry" }
//   clients    [{ client_id, jwks }]: DPoP-bound tokens (RFC 9449, nonces required), private_key_jwt
//              [{ client_id, spiffe_id }]: certificate-bound tokens (RFC 8705), tls_client_auth
//
// Tokens are JWTs of RFC 9068, ES256, five minutes. Nothing secret is printed.
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';

import { load } from './modules.mjs';

const { Provider } = await load('oidc-provider');
const jose = await load('jose');

const config = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const TOKEN_LIFETIME_SECONDS = 300;

async function signingKey() {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
  const kid = await jose.calculateJwkThumbprint(await jose.exportJWK(publicKey));
  const describe = async (key) => ({ ...(await jose.exportJWK(key)), kid, alg: 'ES256', use: 'sig' });
  return { own: await describe(privateKey), published: await describe(publicKey) };
}

function registration(client) {
  const grant = { client_id: client.client_id, grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
  if (client.spiffe_id) {
    return {
      ...grant,
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_san_uri: client.spiffe_id,
      tls_client_certificate_bound_access_tokens: true,
    };
  }
  return {
    ...grant,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks: client.jwks,
    dpop_bound_access_tokens: client.dpop_bound ?? true,
  };
}

const certificateOf = (ctx) => ctx.req.socket.getPeerX509Certificate();

function resourceServer(_ctx, resource) {
  return {
    scope: config.resources[resource],
    audience: resource,
    accessTokenTTL: TOKEN_LIFETIME_SECONDS,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256' } },
  };
}

const key = await signingKey();
const provider = new Provider(config.issuer, {
  jwks: { keys: [key.own] },
  clients: config.clients.map(registration),
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clientAuthMethods: ['private_key_jwt', 'tls_client_auth'],
  scopes: [...new Set(Object.values(config.resources).flatMap((scopes) => scopes.split(' ')))],
  enabledJWA: { dPoPSigningAlgValues: ['ES256', 'Ed25519', 'PS256'] },
  ttl: { ClientCredentials: TOKEN_LIFETIME_SECONDS },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: crypto.randomBytes(32), requireNonce: () => true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      getCertificate: certificateOf,
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_san_uri' &&
        (certificateOf(ctx)?.subjectAltName ?? '').split(', ').includes(`URI:${expected}`),
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => {
        if (!Object.hasOwn(config.resources, resource)) throw new Error('unknown resource');
        return resourceServer(ctx, resource);
      },
    },
  },
});
provider.on('server_error', (_ctx, error) => console.error('server_error', error.message));
provider.on('grant.error', (_ctx, error) => console.error('grant.error', error.message, error.error_description));

fs.writeFileSync(config.jwks_file, JSON.stringify({ keys: [key.published] }, null, 2));
const tls = {
  cert: fs.readFileSync(config.tls.certificate),
  key: fs.readFileSync(config.tls.key),
  ca: fs.readFileSync(config.tls.client_ca),
  requestCert: true,
  rejectUnauthorized: false,
};
https.createServer(tls, provider.callback()).listen(config.port, '127.0.0.1', () => console.log(`listening ${config.issuer}`));
