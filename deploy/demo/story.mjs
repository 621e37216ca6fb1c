// The story as data: who holds which token, what each step tries, and what must come of it.
//
// A step is sent by a well-behaved client (oauth4webapi) unless it says how it differs:
//   token        whose token is sent; without it no credential is sent
//   as           the scheme, when it is not the one the token was issued for
//   certificate  the client certificate of the connection; null sends none; default: the token owner's
//   proof        'again' (the very bytes of the step before) | 'none' | { url, method, key: 'stranger' } (forged so)
//   headers      what an attacker adds; none of it may reach the API
// `expect` is [HTTP status, denial code or null, deciding policy or undefined], or 'handshake refused'; it is asserted.

const AS = 'https://as.example.com';
const PAY = 'https://pay.example.com';
const ACCOUNTS = 'https://accounts.example.com';
const API = 'https://api.example.com';

export const issuers = [AS, 'https://partner-as.example.net'];

/// Audience → the scopes a token for it may carry.
export const resources = {
  [API]: 'payments.read payments.write payouts.read payouts.write accounts.read',
};

export const tokens = {
  robot: { issuer: AS, id: 'invoice-robot', resource: API, scope: 'payments.read payments.write' },
  agent: { issuer: AS, id: 'payment-agent', resource: API, scope: 'payouts.read payouts.write' },
  batch: {
    issuer: AS,
    id: 'batch-settlement',
    resource: API,
    scope: 'payments.read accounts.read',
    certificate: 'client-1',
    spiffe_id: 'spiffe://example.org/ns/finance/sa/batch-settlement',
  },
};

const payment = `GET ${PAY}/payments/42`;
const allowed = (policy) => [200, null, policy];

export const steps = [
  { title: 'Without a token' },
  { tell: 'a public operation', request: `GET ${PAY}/health`, expect: [200, 'public'] },
  { tell: 'any other operation', request: payment, expect: [401, 'credential_missing'] },

  { title: 'A token bound to a key (DPoP, RFC 9449)' },
  { tell: 'sent by its owner', request: payment, token: 'robot', expect: allowed('payments-read-by-purpose') },
  { tell: 'the very same request, replayed', request: payment, token: 'robot', proof: 'again', expect: [401, 'proof_replayed'] },
  { tell: 'stolen, and sent as a bearer token', request: payment, token: 'robot', as: 'Bearer', proof: 'none', expect: [401, 'binding_scheme_mismatch'] },
  { tell: "stolen, with a proof by the thief's key", request: payment, token: 'robot', proof: { key: 'stranger' }, expect: [401, 'proof_key_mismatch'] },
  { tell: 'with a proof made for another URL', request: payment, token: 'robot', proof: { url: `${PAY}/payments/7` }, expect: [401, 'proof_target_mismatch'] },
  { tell: 'with a proof made for another method', request: payment, token: 'robot', proof: { method: 'POST' }, expect: [401, 'proof_method_mismatch'] },
  {
    tell: 'its owner claims to be root in headers',
    request: payment,
    token: 'robot',
    headers: { 'x-keybound-client': 'root', 'x-keybound-subject': 'root' },
    expect: allowed('payments-read-by-purpose'),
  },

  {
    tell: 'its owner names another path in a header',
    request: payment,
    token: 'robot',
    headers: { 'x-original-url': '/payouts/7', 'x-rewrite-url': '/payouts/7' },
    expect: allowed('payments-read-by-purpose'),
  },

  { title: 'A token bound to a certificate (mutual TLS, RFC 8705)' },
  { tell: 'sent with its certificate', request: payment, token: 'batch', expect: allowed('payments-read-by-purpose') },
  { tell: "with another client's certificate", request: payment, token: 'batch', certificate: 'client-2', expect: [401, 'certificate_mismatch'] },
  { tell: 'without a certificate', request: payment, token: 'batch', certificate: null, expect: [401, 'certificate_missing'] },
  { tell: 'with a certificate of an unknown CA', request: payment, token: 'batch', certificate: 'rogue', expect: 'handshake refused' },
  { tell: 'where policy asks for its SPIFFE id', request: `GET ${ACCOUNTS}/accounts/7`, token: 'batch', expect: allowed('accounts-read-by-finance-workloads') },

  { title: 'An API that demands nonces' },
  { tell: 'the first call: refused, and given a nonce', request: `GET ${PAY}/payouts/7`, token: 'agent', expect: [401, 'proof_nonce_required'] },
  { tell: 'the client calls again with the nonce', request: `GET ${PAY}/payouts/7`, token: 'agent', expect: allowed('payouts-read-by-purpose') },

  { title: 'Proven, and still not everything is allowed' },
  { tell: 'an operation that is not declared', request: `GET ${ACCOUNTS}/accounts/7/owners`, token: 'batch', expect: [403, 'operation_unknown'] },
  { tell: 'a write, without the scope for it', request: `POST ${PAY}/payments`, token: 'batch', expect: [403, 'scope_insufficient'] },
  { tell: 'a write with the scope, by another team', request: `POST ${PAY}/payments`, token: 'robot', expect: [403, 'policy_not_permitted'] },
  { tell: 'a payout, asked for by an agent', request: `POST ${PAY}/payouts`, token: 'agent', expect: [403, 'policy_guardrail', 'agents-create-no-payouts'] },
];
