// Resumes with Node's tls. Arguments and lines are those of openssl.sh, but
// tickets stay in memory.
'use strict';
const fs = require('fs');
const readline = require('readline');
const tls = require('tls');

const [name, caFile] = process.argv.slice(2);
const ca = fs.readFileSync(caFile);
const tickets = new Map();

function visit(address, offer, keep) {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(':');
    const session = tickets.get(offer);
    const socket = tls.connect({ host, port, servername: name, ca, minVersion: 'TLSv1.3', session });
    let answer = '';
    socket.setEncoding('utf8');
    socket.setTimeout(10000, () => socket.destroy(new Error(`${address} is silent`)));
    socket.on('error', reject);
    socket.on('secureConnect', () => socket.write(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`));
    // The ticket comes after the handshake, with the answer.
    socket.on('session', (s) => { if (keep !== '-') tickets.set(keep, s); });
    socket.on('data', (chunk) => { answer += chunk; });
    socket.on('end', () => resolve([socket.isSessionReused() ? 'Reused' : 'New', answer.split('\r\n\r\n')[1]].join('\n')));
  });
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(await visit(...line.split(' ')));
  }
})();
