// Keeps the page up to date from /events, and lets its times run by the
// server's clock: the browser's may be off. Without it the page is complete.
const link = document.getElementById('link'), said = document.getElementById('said');
let now = Number(document.body.dataset.now), at = performance.now(), stream, lost, heard;

const clock = () => now + performance.now() - at;
const latest = (main) => Math.max(0, ...Array.from(main.querySelectorAll('[data-n]'), (e) => Number(e.dataset.n)));

function span(ms) {
  const s = Math.floor(Math.max(0, ms) / 1000), two = (n) => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor(s / 3600) % 24}h`;
}

const past = { ago: (t) => `${t} ago`, for: (t) => t, due: (t) => `${t} overdue`, drop: () => 'dropped', in: () => 'now' };

function tick() {
  for (const e of document.querySelectorAll('time[data-run]')) {
    const to = Date.parse(e.dateTime) - clock(), { run } = e.dataset;
    const text = to > 0 && !['ago', 'for'].includes(run) ? `in ${span(Math.ceil(to / 1000) * 1000)}` : past[run](span(-to));
    if (e.firstChild.data !== text) e.firstChild.data = text;
  }
  for (const e of document.querySelectorAll('table.keys')) {
    const x = Math.min(1, Math.max(0, (clock() - e.dataset.from) / (e.dataset.to - e.dataset.from))) * 1000;
    for (const l of e.querySelectorAll('line, .plan')) for (const a of ['x', 'x1', 'x2']) if (l.hasAttribute(a)) l.setAttribute(a, x);
  }
  if (lost) say(`no connection to this node for ${span(performance.now() - lost)}; trying again`, 'bad');
}

function say(text, state) {
  link.className = state;
  if (link.textContent !== text) link.textContent = text;
}

// morph makes an element what another is and keeps what they share, so that
// focus, scrolling, selection and what is open stay.
function morph(old, next) {
  if (old.nodeName !== next.nodeName || old.id !== next.id) return old.replaceWith(next);
  if (old.nodeType === Node.TEXT_NODE) { if (old.data !== next.data) old.data = next.data; return undefined; }
  for (const { name } of Array.from(old.attributes)) if (!next.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const children = Array.from(next.childNodes);
  while (old.childNodes.length > children.length) old.lastChild.remove();
  children.forEach((c, i) => (old.childNodes[i] ? morph(old.childNodes[i], c) : old.append(c)));
  return undefined;
}

function show({ data }) {
  const cut = data.indexOf('\n'), main = document.querySelector('main');
  const next = new DOMParser().parseFromString(data.slice(cut), 'text/html').querySelector('main');
  if (next.dataset.assets !== main.dataset.assets) { location.reload(); return; }
  [now, at, lost] = [Number(data.slice(0, cut)), performance.now(), undefined];
  morph(main, next);
  document.title = main.dataset.title;
  tick();
  say('live', 'good');
  const aloud = Array.from(main.querySelectorAll('[data-aloud]')).filter((e) => Number(e.dataset.n) > heard);
  if (aloud.length) said.textContent = aloud.reverse().map((e) => e.lastElementChild.textContent).join('. ');
  heard = latest(main);
}

function open() {
  stream = new EventSource('events');
  stream.onmessage = show;
  stream.onerror = () => {
    lost ||= performance.now();
    tick();
    if (stream.readyState === EventSource.CLOSED) setTimeout(watch, 2000 + 2000 * Math.random());
  };
}

// A page that nobody sees costs nobody anything.
function watch() {
  if (stream) stream.close();
  if (!document.hidden) open();
}

heard = latest(document);
document.addEventListener('visibilitychange', watch);
setInterval(tick, 1000);
watch();
