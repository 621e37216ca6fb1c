// The API behind Envoy: answers with what reached it, so that the demo can show what of a request came through
// and what keybound told the API.
//
// usage: upstream.mjs PORT
import http from 'node:http';

const [port] = process.argv.slice(2).map(Number);

http
  .createServer((request, response) => {
    const told = Object.entries(request.headers).filter(([name]) => name.startsWith('x-keybound-'));
    const body = { method: request.method, path: request.url, identity: Object.fromEntries(told), names: Object.keys(request.headers) };
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(body)}\n`);
  })
  .listen(port, '127.0.0.1');
