// What drives `veil serve` and Chromium: for the tests of the page and for its benchmark.
import { execFileSync, spawn } from 'node:child_process';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const cache = process.env.VEIL_CACHE || path.join(root, 'cache');
const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(p => fs.existsSync(p));
export const skip = why => { console.log('skipped: ' + why); process.exit(77); };
if (!chromiumPath) skip('chromium is missing: tools/setup.sh browser');
if (!fs.existsSync(path.join(cache, 'browser/.done'))) skip('tests/web/browser/fetch.sh has to run first');
const need = createRequire(path.join(cache, 'browser/package.json'));
export const axe = fs.readFileSync(need.resolve('axe-core/axe.min.js'), 'utf8');

export const ffmpeg = (...args) => execFileSync('ffmpeg', ['-v', 'error', '-y', '-nostdin', ...args]);
export const sleep = ms => new Promise(r => setTimeout(r, ms));
export async function until(f, what, ms = 60000) {
  const end = Date.now() + ms;
  for (;;) {
    let value = null;
    try { value = await f(); } catch (e) { if (Date.now() > end) throw e; }
    if (value) return value;
    if (Date.now() > end) throw new Error('waited in vain: ' + what);
    await sleep(80);
  }
}
export const launch = (...args) => need('playwright-core').chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', ...args] });
export const freePort = () => new Promise(done => {
  const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => done(port)); });
});

// A server with a folder of its own: its media lie in folder/media, what it keeps in folder/data.
export class Server {
  static async create() {
    const s = new Server();
    s.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'veil-page-'));
    fs.mkdirSync(path.join(s.folder, 'media'));
    s.port = await freePort();
    s.url = `http://127.0.0.1:${s.port}`;
    return s;
  }
  async start(...more) {
    this.log = '';
    this.process = spawn(process.env.VEIL || 'veil', ['serve', '--listen', `127.0.0.1:${this.port}`, '--data', `${this.folder}/data`, '--media', `${this.folder}/media`, ...more],
      { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stderr.on('data', d => { this.log += d; });
    await new Promise((ok, bad) => { this.process.stdout.once('data', ok); this.process.once('exit', () => bad(new Error(this.log))); });
  }
  async stop() {
    const ended = new Promise(done => this.process.once('exit', done));
    this.process.kill('SIGINT');
    assert.equal(await ended, 0, 'the server ends well: ' + this.log);
  }
  forget() {
    this.process?.kill('SIGKILL');
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
  async get(path) { return (await fetch(this.url + path)).json(); }
  async send(method, path, body) {
    return fetch(this.url + path, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  }
}
