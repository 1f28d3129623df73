// The page in Chromium: time to the first picture, and how far it is behind the output. Each frame
// of the clip carries its number in black and white squares; an output is read beside the page, and
// both say when they have which frame. Prints one line a measurement; see web.sh.
// usage: VEIL=program node web_page.mjs CLIP [SECONDS]
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { Server, ffmpeg, freePort, launch, sleep, until } from '../tests/web/browser/support.mjs';

const [clip, seconds = '10'] = process.argv.slice(2), BITS = 12, PX = 32, TOP = 720 - 2 * PX, LEFT = 1280 - BITS * PX;
const server = await Server.create(), folder = server.folder;
const ms = list => { const s = [...list].sort((a, b) => a - b), at = p => Math.round(s[Math.min(s.length - 1, Math.floor(s.length * p))]); return `median ${at(0.5)} ms, 95 of 100 under ${at(0.95)} ms (${s.length})`; };

// Below the picture, to the right where no face is: squares of the number, and under them the same
// inverted. What does not agree is not read.
function makeClip() {
  const boxes = [`scale=1280:${TOP},pad=1280:720:0:0`];
  for (let i = 0; i < BITS; i++) {
    const bit = `mod(floor(n/${2 ** i})\\,2)`;
    boxes.push(`drawbox=x=${LEFT + i * PX}:y=${TOP}:w=${PX}:h=${PX}:color=white:t=fill:enable='${bit}'`, `drawbox=x=${LEFT + i * PX}:y=${TOP + PX}:w=${PX}:h=${PX}:color=white:t=fill:enable='1-${bit}'`);
  }
  ffmpeg('-i', clip, '-an', '-vf', boxes.join(','), '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '30', '-bf', '0', `${folder}/media/clock.mp4`);
}
const value = level => { // level(i, row): brightness of a square
  let n = 0;
  for (let i = 0; i < BITS; i++) {
    const a = level(i, 0) > 128, b = level(i, 1) > 128;
    if (a === b) return -1;
    n += a ? 2 ** i : 0;
  }
  return n;
};

// Packets of an output: when each arrived. Which frames they are is read from their copy afterwards.
async function readOutput() {
  const port = await freePort(), times = [];
  const f = spawn('ffmpeg', ['-v', 'error', '-y', '-nostdin', '-fflags', 'nobuffer', '-probesize', '32768', '-copyts', '-i', `tcp://127.0.0.1:${port}?listen=1`, '-map', '0:v', '-c', 'copy', '-flush_packets', '1',
    '-f', 'framecrc', '-', '-map', '0:v', '-c', 'copy', `${folder}/copy.ts`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  f.stdout.on('data', d => {
    text += d;
    const lines = text.split('\n');
    text = lines.pop();
    for (const l of lines) if (!l.startsWith('#')) times.push(Date.now());
  });
  await sleep(300);
  await server.send('POST', '/outputs', { url: `tcp://127.0.0.1:${port}`, no_audio: true });
  const ended = new Promise(done => f.once('exit', done));
  return async () => {
    await ended;
    const raw = execFileSync('ffmpeg', ['-v', 'error', '-i', `${folder}/copy.ts`, '-vf', `crop=${BITS * PX}:${2 * PX}:${LEFT}:${TOP},scale=${BITS}:2:flags=area,format=gray`, '-fps_mode', 'passthrough', '-f', 'rawvideo', '-'], { maxBuffer: 1 << 28 });
    const frames = times.map((t, k) => [value((i, row) => raw[k * BITS * 2 + row * BITS + i]), t]);
    if (raw.length !== times.length * BITS * 2) throw new Error('the copy of the output does not agree with its packets');
    return frames.filter(([n]) => n >= 0);
  };
}

// In the page: which frame is on the screen when. value() and the sizes are handed over as text.
const watch = `(seconds => new Promise(done => {
  const BITS = ${BITS}, PX = ${PX}, value = ${value}, seen = [], c = new OffscreenCanvas(BITS, 2), g = c.getContext('2d', { willReadFrequently: true });
  g.imageSmoothingEnabled = true;
  const end = performance.now() + seconds * 1000;
  const step = () => {
    const e = document.querySelector('#stage > :is(img, video):not([hidden])'), w = e?.videoWidth || e?.naturalWidth;
    if (w) {
      const s = w / 1280, d = (g.drawImage(e, ${LEFT} * s, ${TOP} * s, BITS * PX * s, 2 * PX * s, 0, 0, BITS, 2), g.getImageData(0, 0, BITS, 2).data);
      const n = value((i, row) => d[4 * (row * BITS + i)]);
      if (n >= 0 && n !== seen[seen.length - 1]?.[0]) seen.push([n, performance.timeOrigin + performance.now()]);
    }
    if (performance.now() < end) requestAnimationFrame(step); else done(seen);
  };
  step();
}))(${seconds})`;

function behind(seen, sent) {
  const list = [];
  for (const [n, t] of seen) {
    const same = sent.filter(([m]) => m === n).map(([, at]) => t - at).filter(d => Math.abs(d) < 5000);
    if (same.length) list.push(same[0]);
  }
  return list;
}

async function measure(browser, name, prepare) {
  const first = [], page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  if (prepare) await page.addInitScript(prepare);
  for (let i = 0; i < 5; i++) {
    const began = Date.now();
    await page.goto(server.url, { waitUntil: 'commit' });
    await page.evaluate(() => new Promise(done => {
      const look = () => { const e = document.querySelector('#stage > :is(img, video):not([hidden])'); if (e && (e.naturalWidth || (e.videoWidth && e.currentTime > 0))) done(); else requestAnimationFrame(look); };
      look();
    }));
    first.push(Date.now() - began);
  }
  const output = await readOutput();
  await sleep(2500); // the reader of the output has looked at its beginning by then
  const seen = await page.evaluate(watch);
  for (const o of (await server.get('/state')).outputs) await server.send('DELETE', `/outputs/${o.id}`);
  const list = behind(seen, await output());
  await page.close();
  console.log(`${name}: first picture ${ms(first)}; behind the output ${ms(list)}; ${(seen.length / seconds).toFixed(1)} frames a second on the screen`);
}

let browser;
try {
  makeClip();
  await server.start('--quiet');
  await server.send('PATCH', '/config', { keep: 'none' });
  await server.send('POST', '/sources', { file: 'clock.mp4', loop: true });
  await until(async () => (await server.get('/state')).lamp === 'protecting', 'it starts');
  browser = await launch('--autoplay-policy=no-user-gesture-required');
  await measure(browser, 'video');
  await measure(browser, 'single pictures', 'delete window.MediaSource');
  await server.stop();
} finally {
  await browser?.close();
  server.forget();
}
