// Resumes with Node's tls. Arguments and lines are those of openssl.sh, but
// tickets stay in memory.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');
const tls = require('tls');

const [name, caFile, , minor] = process.argv.slice(2);
const ca = fs.readFileSync(caFile);
const version = `TLSv1.${minor}`;
const tickets = new Map();

function visit(address, offer, keep) {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(':');
    const session = tickets.get(offer);
    const socket = tls.connect({ host, port, servername: name, ca, minVersion: version, maxVersion: version, session });
    let answer = '';
    socket.setEncoding('utf8');
    socket.setTimeout(10000, () => socket.destroy(new Error(`${address} is silent`)));
    socket.on('error', reject);
    socket.on('secureConnect', () => socket.write(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`));
    socket.on('data', (chunk) => { answer += chunk; });
    // The ticket of TLS 1.3 comes after the handshake, with the answer. Of one that
    // comes as TLS 1.2 resumes there is no 'session' event.
    socket.on('end', () => {
      if (keep !== '-') tickets.set(keep, socket.getSession());
      const ticket = crypto.createHash('sha256').update(socket.getTLSTicket()).digest('hex');
      resolve(`${socket.isSessionReused() ? 'Reused' : 'New'}\n${answer.split('\r\n\r\n')[1]}ticket=${ticket}\n`);
    });
  });
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(await visit(...line.split(' ')));
  }
})();
