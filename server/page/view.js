// The live picture: faces to click, zones to draw, what covers it when there is none.
import { $, api, attempt, icon, inTurn, make, toast } from './net.js';
import { lang, onLanguage, reason, t } from './words.js';
import { playVideo, videoPossible } from './moving.js';

const stage = $('stage'), picture = $('picture'), video = $('video'), faces = new Map();
let mode = 'faces', zones = [], connected = false, lamp = 'stopped', hasLive = false, inView = true, busyZones = false;

const percent = v => `${(v * 100).toFixed(3)}%`;
function place(e, b) {
  e.style.left = percent(b.x);
  e.style.top = percent(b.y);
  e.style.width = percent(b.w);
  e.style.height = percent(b.h);
}

// ---------------------------------------------------------------- faces
export async function decide(id, decision) {
  try {
    await api('PUT', `/tracks/${id}`, { decision });
    toast(t('said_' + decision, id), true);
  } catch (e) {
    toast(e.status === 404 || e.status === 409 ? t('gone') : e.message);
  }
}
const stateWord = d => t(d === 'keep' ? 'kept' : 'hidden');
const faceWord = f => t('face', f.id, stateWord(f.decision), reason(f.reason));

function showFaces(tracks, serial = '') {
  $('faces').dataset.serial = serial;
  const seen = new Set();
  for (const f of tracks) {
    let b = faces.get(f.id);
    if (!b) {
      b = make('button', { className: 'face', type: 'button' }, make('span'));
      b.addEventListener('click', () => decide(f.id, b.dataset.d === 'keep' ? 'hide' : 'keep'));
      b.addEventListener('contextmenu', e => { e.preventDefault(); decide(f.id, 'auto'); });
      faces.set(f.id, b);
      $('faces').append(b);
    }
    seen.add(f.id);
    place(b, f);
    b.classList.toggle('end', f.x > 0.9);
    b.classList.toggle('low', f.y + f.h > 0.94);
    b.dataset.d = f.decision;
    b.dataset.u = f.user;
    b.setAttribute('aria-label', faceWord(f));
    const text = `${f.id} ${stateWord(f.decision)}`;
    if (b.firstChild.textContent !== text) b.firstChild.textContent = text;
  }
  for (const [id, b] of faces) {
    if (seen.has(id)) continue;
    b.remove();
    faces.delete(id);
  }
  listFaces(tracks);
}

// The same as a list, for keyboards and screen readers. A row stays where it is: new ones come at the end,
// and those of faces that are gone wait until no pointer is there, so that nobody decides about another one.
const ROWS_MAX = 24, rows = new Map(), list = $('face-list');
let pointed = false;

function buildRow(id) {
  const tag = make('span'), why = make('small'), seg = make('div', { className: 'seg mini' });
  const inputs = ['auto', 'keep', 'hide'].map(d => {
    const input = make('input', { type: 'radio', name: 'face' + id }), word = make('span');
    input.addEventListener('change', () => decide(id, d));
    seg.append(make('label', {}, input, word));
    return { input, word, d };
  });
  seg.setAttribute('role', 'radiogroup');
  const li = make('li', { className: 'item' }, make('span', { className: 'text' }, `${id} `, tag, why), seg);
  list.append(li);
  return { li, tag, why, seg, inputs, key: '' };
}
function fillRow(row, f) {
  const key = [lang(), f.decision, f.user, f.reason].join();
  if (key === row.key) return;
  row.key = key;
  row.li.classList.remove('gone');
  row.seg.setAttribute('aria-label', faceWord(f));
  row.tag.className = 'tag ' + (f.decision === 'keep' ? 'good' : 'warn');
  row.tag.textContent = stateWord(f.decision);
  row.why.textContent = reason(f.reason);
  for (const { input, word, d } of row.inputs) {
    input.disabled = false;
    input.checked = f.user === d;
    word.textContent = t('do_' + d);
  }
}
function dropRow(id, row) {
  if (row.key) {
    row.key = '';
    row.li.classList.add('gone');
    for (const { input } of row.inputs) input.disabled = true;
  }
  if (pointed) return;
  if (row.li.contains(document.activeElement)) list.focus();
  row.li.remove();
  rows.delete(id);
}
function listFaces(tracks) {
  const seen = new Set(tracks.map(f => f.id));
  for (const [id, row] of rows) if (!seen.has(id)) dropRow(id, row);
  for (const f of tracks) {
    if (!rows.has(f.id)) {
      if (rows.size >= ROWS_MAX) continue;
      rows.set(f.id, buildRow(f.id));
    }
    fillRow(rows.get(f.id), f);
  }
  $('no-faces').hidden = rows.size > 0;
}
list.addEventListener('pointerenter', () => { pointed = true; });
list.addEventListener('pointerleave', () => { pointed = false; });

// ---------------------------------------------------------------- zones
const zoneWord = z => t(z.decision === 'keep' ? 'zone_keep' : 'zone_hide');

async function removeZone(z) {
  await attempt(api('DELETE', `/zones/${z.id}`));
}
function zoneKey(event, z) {
  const step = 0.02, by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (event.key === 'Delete' || event.key === 'Backspace') { event.preventDefault(); removeZone(z); return; }
  if (!by) return;
  event.preventDefault();
  if (event.shiftKey) {
    z.w = Math.min(1 - z.x, Math.max(0.02, z.w + by[0]));
    z.h = Math.min(1 - z.y, Math.max(0.02, z.h + by[1]));
  } else {
    z.x = Math.min(1 - z.w, Math.max(0, z.x + by[0]));
    z.y = Math.min(1 - z.h, Math.max(0, z.y + by[1]));
  }
  place(event.currentTarget, z);
  busyZones = true; // what the server tells meanwhile is older
  saveZones();
}
const saveZones = inTurn(async more => {
  const got = await attempt(api('PUT', '/zones', { zones: zones.map(({ x, y, w, h, decision }) => ({ x, y, w, h, decision })) }));
  busyZones = more();
  if (got) showZones(got.zones); // they have new numbers
});
let drawn = '';
export function showZones(list) {
  if (busyZones) return;
  const key = JSON.stringify(list) + t('remove');
  if (key === drawn) return;
  drawn = key;
  const focus = [...$('zones').children].indexOf(document.activeElement);
  zones = list;
  $('zones').replaceChildren(...list.map((z, i) => {
    const e = make('div', { className: 'zone', tabIndex: 0 }, make('b', {}, String(i + 1)));
    e.dataset.d = z.decision;
    e.setAttribute('role', 'group');
    e.setAttribute('aria-label', t('zone', i + 1, zoneWord(z)));
    e.addEventListener('keydown', event => zoneKey(event, z));
    place(e, z);
    return e;
  }));
  if (focus >= 0) $('zones').children[Math.min(focus, list.length - 1)]?.focus();
  $('no-zones').hidden = list.length > 0;
  $('zone-list').replaceChildren(...list.map((z, i) => {
    const b = make('button', { type: 'button', className: 'quiet' }, icon('bin'));
    b.setAttribute('aria-label', `${t('remove')}: ${t('zone', i + 1, zoneWord(z))}`);
    b.addEventListener('click', () => removeZone(z));
    return make('li', { className: 'item' }, make('span', { className: 'text' }, t('zone', i + 1, zoneWord(z))), b);
  }));
}
async function addZone(z) {
  if (await attempt(api('POST', '/zones', { ...z, decision: mode }))) toast(t('said_zone'), true);
}

let start = null;
function point(event) {
  const r = stage.getBoundingClientRect(), in01 = v => Math.min(1, Math.max(0, v));
  return { x: in01((event.clientX - r.left) / r.width), y: in01((event.clientY - r.top) / r.height) };
}
const between = (a, b) => ({ x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), w: Math.abs(a.x - b.x), h: Math.abs(a.y - b.y) });
stage.addEventListener('pointerdown', event => {
  if (mode === 'faces' || event.button !== 0) return;
  start = point(event);
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener('pointermove', event => {
  if (!start) return;
  $('rubber').hidden = false;
  place($('rubber'), between(start, point(event)));
});
function endDrag(event) {
  if (!start) return;
  const z = between(start, point(event));
  start = null;
  $('rubber').hidden = true;
  if (event.type === 'pointerup' && z.w > 0.01 && z.h > 0.01) addZone(z);
}
stage.addEventListener('pointerup', endDrag);
stage.addEventListener('pointercancel', endDrag);

// ---------------------------------------------------------------- the picture itself
function curtain() {
  const show = !connected || !hasLive;
  const what = !connected ? 'lost' : lamp === 'starting' ? 'starting' : 'stopped';
  $('curtain').hidden = !show;
  $('curtain-text').textContent = t('curtain')[what];
  $('curtain-more').textContent = t('curtain_more')[what];
}
// As video where that is possible, else as single pictures: by `still` once video has failed.
let stopVideo = null, still = !videoPossible(), again = null, tries = 0;
const wanted = () => connected && hasLive && inView && !document.hidden;

function startVideo() {
  const over = wait => { stopVideo = null; again = setTimeout(setPicture, wait); };
  frames.length = 0;
  stage.dataset.picture = 'video';
  stopVideo = playVideo(video, {
    shown(seconds) { tries = 0; showFramesTo(seconds); },
    ended() { over(50); },
    lost() { still = ++tries > 3; over(still ? 0 : 700); },
    failed() { still = true; over(0); },
  });
}
function setPicture() {
  const on = wanted(), moving = on && !still, single = on && still;
  clearTimeout(again);
  video.hidden = !moving;
  if (moving && !stopVideo) startVideo();
  if (!moving) { stopVideo?.(); stopVideo = null; frames.length = 0; }
  if (single === !picture.hidden) return;
  picture.hidden = !single;
  if (single) { stage.dataset.picture = 'jpeg'; picture.src = '/stream?' + Date.now(); } else picture.removeAttribute('src');
}
picture.addEventListener('error', () => {
  if (picture.hidden) return;
  picture.hidden = true;
  again = setTimeout(setPicture, 1000);
});
document.addEventListener('visibilitychange', setPicture);

// Faces belong to their frame: those of a video wait until it is shown.
const frames = [];
function showFramesTo(seconds) {
  let shown = null;
  while (frames.length && frames[0].time <= seconds + 0.004) shown = frames.shift();
  if (shown) showFaces(shown.tracks, shown.serial);
}
export function takeFrame(frame) {
  if (!stopVideo || frame.time === undefined) { showFaces(frame.tracks, frame.serial); return; }
  if (frames.length && frames[frames.length - 1].time > frame.time) frames.length = 0; // another stream
  frames.push(frame);
  if (frames.length > 200) frames.shift();
}
export function showLiveView(on) {
  inView = on;
  setPicture();
}
export function showConnection(up) {
  connected = up;
  setPicture();
  curtain();
}
export function showLive(state) {
  lamp = state.lamp;
  hasLive = !!state.live;
  if (state.live?.output.width) stage.style.aspectRatio = `${state.live.output.width} / ${state.live.output.height}`;
  setPicture();
  if (!hasLive) showFaces([]);
  picture.alt = t('lamp')[lamp];
  video.setAttribute('aria-label', picture.alt);
  showZones(state.zones);
  curtain();
}

// ---------------------------------------------------------------- tools
function setMode(next) {
  mode = next;
  stage.dataset.mode = next;
  $('hint').textContent = t(next === 'faces' ? 'hint_faces' : 'hint_zone');
}
for (const input of document.querySelectorAll('input[name=mode]')) {
  input.addEventListener('change', () => setMode(input.value));
  input.addEventListener('keydown', event => {
    if (event.key === 'Enter' && mode !== 'faces') addZone({ x: 0.35, y: 0.35, w: 0.3, h: 0.3 });
  });
}
export function toggleBoxes() {
  const on = stage.classList.toggle('boxes');
  $('boxes').setAttribute('aria-pressed', on);
  localStorage.setItem('veil.boxes', on ? '1' : '0');
}
$('boxes').addEventListener('click', toggleBoxes);
if (localStorage.getItem('veil.boxes') === '0') $('boxes').setAttribute('aria-pressed', 'false'); else stage.classList.add('boxes');
$('full').addEventListener('click', () => (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen?.()));
onLanguage(() => { setMode(mode); drawn = ''; curtain(); });
