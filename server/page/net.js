// Requests, events, uploads and the token.
import { t } from './words.js';

const login = document.getElementById('login');
let pending = null;

export const $ = id => document.getElementById(id);
// Makes an element: make('p', {className: 'x'}, 'text', child ...).
export function make(tag, props = {}, ...children) {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children);
  return e;
}
export function icon(name) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg'), use = document.createElementNS(ns, 'use');
  svg.setAttribute('class', 'i');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', '#i-' + name);
  svg.append(use);
  return svg;
}

export class Problem extends Error {
  constructor(status, detail) { super(detail); this.status = status; }
}

// Asks for the token once, however many requests were refused.
export function askToken() {
  pending ??= new Promise(done => {
    $('login-bad').textContent = '';
    login.showModal();
    $('login-form').onsubmit = async event => {
      event.preventDefault();
      const bad = await sendToken($('token').value.trim());
      $('login-bad').textContent = bad;
      if (bad) return;
      login.close();
      pending = null;
      done();
    };
  });
  return pending;
}
// Returns what is wrong, '' if nothing.
export async function sendToken(token) {
  try {
    await api('POST', '/login', { token });
    return '';
  } catch (e) {
    return { 401: t('login_bad'), 429: t('login_wait') }[e.status] || e.message;
  }
}

export async function api(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { 'Content-Type': 'application/json' };
    options.body = JSON.stringify(body);
  }
  const r = await fetch(path, options).catch(() => { throw new Problem(0, t('curtain').lost); });
  if (r.status === 401 && path !== '/login') {
    await askToken();
    return api(method, path, body);
  }
  const text = await r.text();
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { data = null; }
  if (!r.ok) throw new Problem(r.status, data?.detail || r.statusText);
  return data;
}

// Uploads a file; progress gets 0..1. Returns {done, cancel}.
export function upload(path, file, progress) {
  const x = new XMLHttpRequest();
  const done = new Promise((ok, bad) => {
    x.open('POST', path);
    x.setRequestHeader('Content-Type', /^(video|image)\//.test(file.type) ? file.type : 'application/octet-stream');
    x.responseType = path.startsWith('/explain') ? 'json' : 'text';
    x.upload.onprogress = e => progress?.(e.total ? e.loaded / e.total : 0);
    x.onload = () => {
      let data = x.response;
      if (typeof data === 'string') { try { data = JSON.parse(data); } catch { data = null; } }
      if (x.status < 300) ok(data); else bad(new Problem(x.status, data?.detail || x.statusText));
    };
    x.onerror = () => bad(new Problem(0, t('curtain').lost));
    x.onabort = () => bad(new Problem(-1, t('job').cancelled));
    x.send(file);
  });
  return { done, cancel: () => x.abort() };
}

// Server-sent events, for ever: connects again by itself.
export function listen(handlers, onState) {
  let source;
  const open = () => {
    source = new EventSource('/events');
    source.onopen = () => onState(true);
    for (const [name, f] of Object.entries(handlers)) source.addEventListener(name, e => f(JSON.parse(e.data)));
    source.onerror = async () => {
      onState(false);
      if (source.readyState !== EventSource.CLOSED) return;
      await new Promise(r => setTimeout(r, 1500));
      try { await api('GET', '/config'); } catch { /* asks for the token where it is needed */ }
      open();
    };
  };
  open();
}

// A function that sends at once, and once more when it was called meanwhile: in order, never two at a time.
// send(more) may ask whether there will be another one.
const PAUSE_MS = 60;
export function inTurn(send) {
  let busy = false, again = false;
  return async function run() {
    again = true;
    if (busy) return;
    busy = true;
    again = false;
    await send(() => again);
    setTimeout(() => { busy = false; if (again) run(); }, PAUSE_MS);
  };
}

let timer;
export function toast(text, undo) {
  $('toast-text').textContent = text;
  $('toast-undo').hidden = !undo;
  $('toast').hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { $('toast').hidden = true; }, 5000);
}
export async function attempt(promise) {
  try { return await promise; } catch (e) { toast(e.message); return undefined; }
}
