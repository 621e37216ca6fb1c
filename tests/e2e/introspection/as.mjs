// An authorization server for the end-to-end tests: oidc-provider on loopback, opaque tokens by client credentials, bound by DPoP or
// to a certificate, with introspection (RFC 7662, RFC 9701) and revocation (RFC 7009).
//
// usage: as.mjs CONFIG.json
//
//   port       where it listens (https); its issuer is https://localhost:port
//   tls        { certificate, key, client_ca }: PEM files
//   resource   the audience of its tokens
//   clients    registrations, as oidc-provider takes them
//   identity   the URI of the certificate that tls_client_auth is for
//
// Nothing secret is printed.
import fs from 'node:fs';
import https from 'node:https';

import { load } from '../../../deploy/demo/modules.mjs';

const { Provider } = await load('oidc-provider');
const jose = await load('jose');

const config = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const issuer = `https://localhost:${config.port}`;
const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
const certificateOf = (ctx) => ctx.req.socket.getPeerX509Certificate();

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...(await jose.exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'one' }] },
  clients: config.clients,
  clientDefaults: { grant_types: ['client_credentials'], response_types: [], redirect_uris: [], id_token_signed_response_alg: 'ES256', introspection_signed_response_alg: 'ES256' },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth'],
  scopes: ['items.read'],
  ttl: { ClientCredentials: 300 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId.startsWith('keybound') },
    jwtIntrospection: { enabled: true },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
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
      getResourceServerInfo: (_ctx, resource) => {
        if (resource !== config.resource) throw new Error('unknown resource');
        return { scope: 'items.read', audience: resource, accessTokenTTL: 300, accessTokenFormat: 'opaque' };
      },
    },
  },
});
provider.on('server_error', (_ctx, error) => console.error('server_error', error.message));
provider.on('grant.error', (_ctx, error) => console.error('grant.error', error.message, error.error_description));
provider.on('introspection.error', (_ctx, error) => console.error('introspection.error', error.message, error.error_description));

const tls = {
  cert: fs.readFileSync(config.tls.certificate),
  key: fs.readFileSync(config.tls.key),
  ca: fs.readFileSync(config.tls.client_ca),
  requestCert: true,
  rejectUnauthorized: false,
};
https.createServer(tls, provider.callback()).listen(config.port, '127.0.0.1', () => console.log('listening'));
