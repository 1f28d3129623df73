// The page in Chromium, by Playwright, on a clip with known faces: what a click does is looked for in
// the pixels that come out. Pictures of the page are left in the folder of artefacts.
// usage: VEIL=program VEIL_BROWSER=1 node test_page.mjs [ARTEFACTS [WORDS]]
// WORDS: only tests with them in their name, after the first one, which starts the clip
import { execFileSync, spawn } from 'node:child_process';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const cache = process.env.VEIL_CACHE || path.join(root, 'cache');
const fixtures = process.env.VEIL_FIXTURES || path.join(root, 'out/fixtures');
const clip = path.join(fixtures, 'interview-360.mp4');
const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(p => fs.existsSync(p));
const skip = why => { console.log('skipped: ' + why); process.exit(77); };
if (!process.env.VEIL_BROWSER) skip('make browser runs this');
if (!chromiumPath) skip('chromium is missing: tools/setup.sh browser');
if (!fs.existsSync(path.join(cache, 'browser/.done'))) skip('tests/web/browser/fetch.sh has to run first');
if (!fs.existsSync(clip)) skip(`${clip} is missing: make fixtures-small`);
const need = createRequire(path.join(cache, 'browser/package.json'));
const { chromium } = need('playwright-core');
const axe = fs.readFileSync(need.resolve('axe-core/axe.min.js'), 'utf8');

const shots = path.resolve(process.argv[2] || path.join(root, 'out/page'));
fs.mkdirSync(shots, { recursive: true });
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'veil-page-'));
const ffmpeg = (...args) => execFileSync('ffmpeg', ['-v', 'error', '-y', '-nostdin', ...args]);
const sleep = ms => new Promise(r => setTimeout(r, ms));
async function until(f, what, ms = 60000) {
  const end = Date.now() + ms;
  for (;;) {
    let value = null;
    try { value = await f(); } catch (e) { if (Date.now() > end) throw e; }
    if (value) return value;
    if (Date.now() > end) throw new Error('waited in vain: ' + what);
    await sleep(80);
  }
}

// ---------------------------------------------------------------- files, server, browser
function makeFiles() {
  fs.mkdirSync(path.join(dir, 'media'));
  ffmpeg('-i', clip, '-filter_complex', '[0:v]split[a][b];[b]reverse[c];[a][c]concat', '-an', '-c:v', 'libx264', '-preset', 'ultrafast', `${dir}/once.mp4`);
  ffmpeg('-stream_loop', '30', '-i', `${dir}/once.mp4`, '-c', 'copy', `${dir}/media/clip.mp4`);
  ffmpeg('-i', clip, '-frames:v', '1', `${dir}/frame.png`);
  ffmpeg('-i', clip, '-t', '1', '-c', 'copy', `${dir}/short.mp4`);
  ffmpeg('-i', clip, '-t', '3', '-an', '-c:v', 'mjpeg', '-q:v', '4', `${dir}/camera.mjpeg`);
}
const freePort = () => new Promise(done => {
  const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => done(port)); });
});
let server, port;
async function startServer(...more) {
  server = spawn(process.env.VEIL || 'veil', ['serve', '--listen', `127.0.0.1:${port}`, '--data', `${dir}/data`, '--media', `${dir}/media`, ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
  server.log = '';
  server.stderr.on('data', d => { server.log += d; });
  await new Promise((ok, bad) => { server.stdout.once('data', ok); server.once('exit', () => bad(new Error(server.log))); });
}
async function stopServer() {
  const ended = new Promise(done => server.once('exit', done));
  server.kill('SIGINT');
  assert.equal(await ended, 0, 'the server ends well: ' + server.log);
}
const get = async p => (await fetch(`http://127.0.0.1:${port}${p}`)).json();
const lamp = async () => (await get('/state')).lamp;

// ---------------------------------------------------------------- pixels
// Detail (mean difference of neighbours) and spread of a part of the picture the page shows.
const look = (page, box = { x: 0, y: 0, w: 1, h: 1 }) => page.evaluate(b => {
  const img = document.getElementById('picture');
  if (img.hidden || !img.naturalWidth) return null;
  const c = new OffscreenCanvas(img.naturalWidth, img.naturalHeight), g = c.getContext('2d');
  g.drawImage(img, 0, 0);
  const cut = (v, n) => Math.min(n, Math.max(0, Math.round(v * n)));
  const x0 = cut(b.x + b.w * 0.15, c.width), x1 = cut(b.x + b.w * 0.85, c.width), y0 = cut(b.y + b.h * 0.15, c.height), y1 = cut(b.y + b.h * 0.85, c.height);
  const w = x1 - x0, h = y1 - y0;
  if (w < 3 || h < 3) return null;
  const d = g.getImageData(x0, y0, w, h).data;
  let sum = 0, low = 255, high = 0, n = 0;
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const v = d[4 * (y * w + x) + 1];
    low = Math.min(low, v);
    high = Math.max(high, v);
    if (x) { sum += Math.abs(v - d[4 * (y * w + x - 1) + 1]); n++; }
  }
  return { detail: sum / n, spread: high - low, hash: d.reduce((a, v) => (a * 31 + v) | 0, 0) };
}, box);
const tracks = async () => (await get('/tracks')).tracks;
const track = async id => (await tracks()).find(f => f.id === id);
const detailOf = async (page, id) => { const f = await track(id); return f && (await look(page, f))?.detail; };
const inside = f => f.x > 0 && f.y > 0 && f.x + f.w < 1 && f.y + f.h < 1;
const clickFace = (page, f) => page.locator('.face').evaluateAll((all, n) => all.find(b => b.getAttribute('aria-label').startsWith(`Face ${n}:`)).click(), f.id);

// By its label, which is what is seen of it.
const choose = (page, name, value) => page.locator(`label:has(input[name=${name}][value=${value}])`).click();

// ---------------------------------------------------------------- what is tested
const tests = {
  async 'a clip starts and moves'(page) {
    await page.selectOption('#src-kind', 'file');
    await page.selectOption('#src-file', 'clip.mp4');
    await page.selectOption('#set-keep', 'chosen');
    await page.click('#src-start');
    await page.waitForSelector('#lamp[data-lamp=protecting]', { timeout: 60000 });
    const first = await until(() => look(page), 'a picture');
    await until(async () => (await look(page)).hash !== first.hash, 'it moves');
    await page.waitForSelector('.face');
    assert.equal((await get('/config')).keep, 'chosen');
  },
  async 'a click keeps the speaker, a click hides him again'(page) {
    await page.evaluate(() => scrollTo(0, 0));
    const largest = async () => (await tracks()).reduce((a, b) => (a && a.w * a.h > b.w * b.h ? a : b), null);
    const him = async () => { const f = await largest(), seen = f && await look(page, f); return seen && { ...f, detail: seen.detail }; };
    const hidden = (await until(async () => { const f = await him(); return f?.decision === 'hide' && f; }, 'his pixels')).detail;
    // With the mouse, as people do. A face that was lost and found has a new number: then once more.
    await until(async () => {
      const f = await largest();
      if (f.decision === 'keep') return true;
      const box = await page.locator('.face').evaluateAll((all, n) => { const r = all.find(b => b.getAttribute('aria-label').startsWith(`Face ${n}:`)).getBoundingClientRect(); return { x: r.x, y: r.y, w: r.width, h: r.height }; }, f.id);
      await page.mouse.click(box.x + box.w / 2, box.y + box.h * 0.7);
      return until(async () => (await track(f.id))?.decision === 'keep', 'kept', 2000);
    }, 'he is kept');
    const seen = (await until(async () => { const f = await him(); return f.detail > 2 * hidden && f; }, 'he is seen')).detail;
    await until(async () => {
      const f = await largest();
      if (f.decision === 'keep') await clickFace(page, f);
      return until(async () => (await him()).detail < seen / 2, 'hidden', 2000);
    }, 'he is hidden again');
  },
  async 'a bystander too, and undo'(page) {
    await until(async () => {
      const one = (await tracks()).filter(f => inside(f) && f.decision === 'hide').sort((a, b) => b.w * b.h - a.w * a.h)[1];
      const hidden = await detailOf(page, one.id);
      await clickFace(page, one);
      const seen = await until(async () => { const d = await detailOf(page, one.id); return d > 1.6 * hidden && d; }, 'seen', 4000);
      await page.waitForSelector('#toast:not([hidden])');
      await page.click('#undo');
      await until(async () => (await track(one.id))?.decision === 'hide', 'undone', 4000);
      return until(async () => (await detailOf(page, one.id)) < (hidden + seen) / 2, 'hidden', 4000);
    }, 'a bystander is shown and hidden');
  },
  async 'a zone is drawn, hides, is removed by key'(page) {
    const zone = { x: 0.05, y: 0.6, w: 0.25, h: 0.3 };
    const before = await until(async () => (await look(page, zone))?.detail, 'pixels');
    await choose(page, 'mode', 'hide');
    await page.evaluate(() => scrollTo(0, 0));
    const s = await page.locator('#stage').boundingBox();
    await page.mouse.move(s.x + s.width * zone.x, s.y + s.height * zone.y);
    await page.mouse.down();
    await page.mouse.move(s.x + s.width * 0.2, s.y + s.height * 0.8);
    await page.mouse.move(s.x + s.width * (zone.x + zone.w), s.y + s.height * (zone.y + zone.h));
    await page.mouse.up();
    const made = await until(async () => (await get('/zones')).zones[0], 'the zone');
    assert.ok(Math.abs(made.w - zone.w) < 0.02 && made.decision === 'hide', JSON.stringify(made));
    await until(async () => (await look(page, zone)).detail < before / 3, 'the zone is hidden');
    await page.screenshot({ path: `${shots}/zone.png` });
    await page.focus('.zone');
    await page.keyboard.press('ArrowRight');
    await until(async () => (await get('/zones')).zones[0].x > made.x + 0.01, 'the zone moved');
    await page.waitForTimeout(400);
    await page.focus('.zone');
    await page.keyboard.press('Delete');
    await until(async () => (await get('/zones')).zones.length === 0, 'the zone is gone');
    await choose(page, 'mode', 'faces');
  },
  async 'settings act and outlast a reload and a restart'(page) {
    await choose(page, 'set-style', 'solid');
    await page.fill('#set-fill', '#20c040');
    await page.locator('#set-cells').focus();
    await page.keyboard.press('ArrowLeft');
    await until(async () => { const c = await get('/config'); return c.style === 'solid' && c.fill === '#20c040' && c.cells === 5; }, 'they are set');
    await page.reload();
    await page.waitForSelector('#lamp[data-lamp=protecting]', { timeout: 60000 });
    assert.ok(await page.isChecked('input[name=set-style][value=solid]'));
    await stopServer();
    await page.waitForSelector('#curtain:not([hidden])');
    await startServer();
    await page.waitForSelector('#lamp[data-lamp=protecting]', { timeout: 60000 });
    await until(() => look(page), 'the picture is back by itself');
    assert.equal((await get('/config')).fill, '#20c040');
    assert.equal((await get('/config')).keep, 'chosen');
    await choose(page, 'set-style', 'blur');
    await until(async () => (await get('/config')).style === 'blur', 'blur again');
  },
  async 'panic covers all, by key and for good'(page) {
    await until(async () => (await look(page))?.spread > 100, 'open');
    await page.locator('body').press('p');
    await page.waitForSelector('#lamp[data-lamp=covered]');
    await until(async () => (await look(page)).spread < 12, 'covered');
    await page.locator('body').press('p');
    await page.reload();
    await page.waitForSelector('#panic[aria-pressed=true]');
    assert.equal(await lamp(), 'covered');
    await page.screenshot({ path: `${shots}/panic.png` });
    await page.click('#panic');
    await until(async () => (await look(page))?.spread > 100, 'open again');
  },
  async 'try it: upload, compare, download'(page) {
    await page.click('[data-view=try]');
    await page.setInputFiles('#files', [`${dir}/frame.png`, `${dir}/short.mp4`]);
    await until(async () => (await get('/jobs')).jobs.filter(j => j.state === 'done').length === 2, 'both are done');
    const picture = page.locator('#jobs li', { hasText: 'frame.png' });
    await picture.getByRole('button', { name: 'Compare' }).click();
    await page.waitForSelector('#pair .before');
    await until(() => page.evaluate(() => document.querySelector('#pair .after').naturalWidth === 640), 'the result is shown');
    await page.fill('#split', '30');
    assert.match(await page.evaluate(() => document.querySelector('#pair .after').style.clipPath), /30%/);
    await page.screenshot({ path: `${shots}/try.png`, fullPage: true });
    const waiting = page.waitForEvent('download');
    await picture.getByRole('link', { name: 'Download' }).click();
    const file = await (await waiting).path();
    const data = fs.readFileSync(file);
    assert.equal(data.subarray(1, 4).toString(), 'PNG');
    assert.notDeepEqual(data, fs.readFileSync(`${dir}/frame.png`));
    const video = page.locator('#jobs li', { hasText: 'short.mp4' });
    await video.getByRole('button', { name: 'Compare' }).click();
    await page.click('#pair-play');
    await until(() => page.evaluate(() => document.querySelector('#pair video.after').currentTime > 0.1), 'the video plays');
    await video.getByRole('button', { name: 'Delete' }).click();
    await until(async () => (await get('/jobs')).jobs.length === 1, 'deleted');
  },
  async 'explain shows maps'(page) {
    await page.click('[data-view=explain]');
    await page.setInputFiles('#ex-file', `${dir}/frame.png`);
    await page.waitForSelector('#ex-result .heat', { timeout: 60000 });
    await until(() => page.evaluate(() => [...document.querySelectorAll('.heat')].every(i => i.naturalWidth === 320)), 'maps');
    await page.screenshot({ path: `${shots}/explain.png`, fullPage: true });
    await page.click('[data-view=live]');
  },
  async 'nothing axe complains about, light and dark, narrow and wide, in both languages'(page) {
    for (const [width, height, colorScheme, view] of [[1440, 900, 'light', 'live'], [1920, 1080, 'dark', 'live'], [360, 740, 'dark', 'live'],
      [360, 740, 'light', 'try'], [1280, 800, 'dark', 'try'], [1280, 800, 'light', 'explain']]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.click(`[data-view=${view}]`);
      await page.click('#lang');
      await page.waitForTimeout(300);
      const out = await page.evaluate(() => (document.documentElement.scrollWidth <= innerWidth + 1 ? [] : [...document.querySelectorAll('main *,header *,footer *')]
        .filter(e => !e.closest('.stage') && e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 120)).concat(`${document.documentElement.scrollWidth} px`)));
      assert.deepEqual(out, [], `${view} ${width} px: nothing sticks out`);
      const found = await page.evaluate(async code => {
        if (!window.axe) (0, eval)(code); // not by a tag: the policy of the page forbids it
        return (await window.axe.run(document, { resultTypes: ['violations'] })).violations.map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.html).join(' | ')}`);
      }, axe).catch(e => [String(e)]);
      assert.deepEqual(found, [], `${view} ${width} ${colorScheme}`);
      await page.screenshot({ path: `${shots}/${view}-${width}-${colorScheme}.png`, fullPage: width < 400 });
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    if (await page.getAttribute('html', 'lang') !== 'en') await page.click('#lang');
    await page.click('[data-view=live]');
  },
  async 'the camera of the browser is a source'(page) {
    await page.selectOption('#src-kind', 'browser');
    await page.click('#src-start');
    await until(async () => (await get('/state')).source?.browser && await lamp() === 'protecting', 'it is protected');
    await until(async () => (await get('/state')).live.hidden > 0, 'faces of the camera are hidden');
    const first = await until(() => look(page), 'a picture');
    await until(async () => (await look(page)).spread > 60, 'more than a cover');
    await until(async () => (await look(page)).hash !== first.hash, 'it moves');
    await page.screenshot({ path: `${shots}/camera.png` });
    await page.click('#src-stop');
    await page.waitForSelector('#lamp[data-lamp=stopped]', { timeout: 60000 });
  },
};

// ---------------------------------------------------------------- run
let failed = 0, browser;
try {
  makeFiles();
  port = await freePort();
  await startServer();
  browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${dir}/camera.mjpeg`] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', bypassCSP: false });
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', e => complaints.push(e.message));
  page.on('console', m => { if (m.type() === 'error' && !/Failed to load resource|ERR_/.test(m.text())) complaints.push(m.text()); });
  await page.goto(`http://127.0.0.1:${port}/`);
  for (const [name, test] of Object.entries(tests).filter(([n], i) => i === 0 || n.includes(process.argv[3] || ''))) {
    const began = Date.now();
    try {
      await test(page);
      console.log(`ok ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (e) {
      failed++;
      console.log(`FAILED ${name}: ${e.stack}`);
      await page.screenshot({ path: `${shots}/failed-${failed}.png` }).catch(() => {});
    }
  }
  if (complaints.length) { failed++; console.log('the page complained: ' + complaints.join('\n')); }
  await browser.close();
  await stopServer();
} catch (e) {
  failed++;
  console.log(e.stack, server?.log);
  await browser?.close();
  server?.kill('SIGKILL');
}
fs.rmSync(dir, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
