// Resumes with Chromium, without a window. Arguments and lines are those of
// openssl.sh, but it chooses itself what to offer and to keep, and it does not say
// at once whether it resumed: New or Reused for every connection comes after the
// end of the input, from its network log.
'use strict';
const { spawn } = require('child_process');
const fs = require('fs');
const net = require('net');
const path = require('path');
const readline = require('readline');

const [name, , dir, minor] = process.argv.slice(2);
const profile = path.join(dir, 'profile');
const netLog = path.join(dir, 'net.json');

// It must not connect ahead of time: two connections at once share one ticket.
fs.mkdirSync(path.join(profile, 'Default'), { recursive: true });
fs.writeFileSync(path.join(profile, 'Default', 'Preferences'), '{"net": {"network_prediction_options": 2}}');

// It looks for a ticket by name and port, and resolves a name as it likes. So it
// always goes to one address, from where its connections are led to a node.
let node;
const open = new Set();
const balancer = net.createServer((client) => {
  const server = net.connect(node);
  for (const [from, to] of [[client, server], [server, client]]) {
    open.add(from);
    from.on('error', () => {}).on('close', () => { open.delete(from); to.destroy(); }).pipe(to);
  }
});

// What it is told goes in at 3 and comes out at 4, in JSON with a NUL behind.
const browser = spawn('chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--ignore-certificate-errors',
  `--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${name}`, `--ssl-version-max=tls1.${minor}`,
  `--user-data-dir=${profile}`, `--log-net-log=${netLog}`, '--remote-debugging-pipe'], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
let trouble = '';
browser.stderr.on('data', (chunk) => { trouble += chunk; });
browser.on('exit', () => { for (const answer of answers.values()) answer({ error: { message: 'Chromium ended' } }); });

const answers = new Map();
let sessionId;
function call(method, params) {
  return new Promise((resolve, reject) => {
    const id = answers.size + 1;
    answers.set(id, (m) => { if (m.error) reject(new Error(`${method}: ${m.error.message}`)); else resolve(m.result); });
    browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  });
}

let heard = '';
browser.stdio[4].setEncoding('utf8').on('data', (chunk) => {
  const messages = (heard + chunk).split('\0');
  heard = messages.pop();
  for (const m of messages.map((text) => JSON.parse(text))) {
    if (m.id) answers.get(m.id)(m);
  }
});

async function visit(address) {
  for (const socket of open) socket.destroy();
  const [host, port] = address.split(':');
  node = { host, port };
  const { errorText } = await call('Page.navigate', { url: `https://${name}:${balancer.address().port}/` });
  if (errorText) throw new Error(`${address}: ${errorText}`);
  for (;;) {
    const { result } = await call('Runtime.evaluate', { expression: 'document.readyState == "complete" ? document.body.innerText : ""' });
    if (result.value) return result.value.trimEnd();
  }
}

(async () => {
  const ended = new Promise((resolve) => { browser.on('close', resolve); });
  await new Promise((resolve) => { balancer.listen(0, '127.0.0.1', resolve); });
  const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
  ({ sessionId } = await call('Target.attachToTarget', { targetId, flatten: true }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(`${await visit(line.split(' ')[0])}\n`);
  }
  browser.stdio[3].end(); // it ends when nobody is left to tell it anything
  await ended;
  balancer.close();
  for (const [, resumed] of fs.readFileSync(netLog, 'utf8').matchAll(/"is_resumed":(\w+)/g)) {
    console.log(resumed === 'true' ? 'Reused' : 'New');
  }
})().catch((err) => {
  console.error(err, trouble);
  process.exit(1);
});
