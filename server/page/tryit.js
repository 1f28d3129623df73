// One's own pictures and videos: queue, progress, before and after, download.
import { $, api, attempt, make, upload } from './net.js';
import { onLanguage, t } from './words.js';

const files = new Map(); // id of a job -> the file it came from, for "before"
const uploads = [];
let jobs = [], keepMinutes = 60, timer = null, visible = false, comparing = null;

// ---------------------------------------------------------------- list
function row(key) {
  let li = $(key);
  if (!li) {
    li = make('li', { className: 'item', id: key });
    li.append(make('span', { className: 'text' }, make('strong'), ' ', make('span', { className: 'tag' }), make('small')), make('div', { className: 'row' }));
    $('jobs').prepend(li);
  }
  return li;
}
function fill(li, name, state, text, fraction, buttons) {
  li.querySelector('strong').textContent = name;
  const tag = li.querySelector('.tag');
  tag.textContent = t('job')[state];
  tag.className = 'tag ' + ({ done: 'good', failed: 'bad', running: 'warn', uploading: 'warn' }[state] || '');
  li.querySelector('small').textContent = text;
  let bar = li.querySelector('progress');
  if (fraction === null) bar?.remove();
  else {
    if (!bar) { bar = make('progress', { max: 1 }); bar.setAttribute('aria-label', name); li.querySelector('.text').append(bar); }
    if (fraction > 0) bar.value = fraction; else bar.removeAttribute('value');
  }
  const key = buttons.map(b => b[0]).join();
  const box = li.querySelector('.row');
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.replaceChildren(...buttons.map(([word, action]) => {
    if (typeof action === 'string') return make('a', { className: 'button', href: action, download: '' }, word);
    const b = make('button', { type: 'button' }, word);
    b.addEventListener('click', action);
    return b;
  }));
}
function showJob(j) {
  const li = row('job-' + j.id), remove = async () => { await attempt(api('DELETE', `/jobs/${j.id}`)); load(); };
  if (j.state === 'done') {
    const buttons = [[t('download'), `/jobs/${j.id}/result`], [t('report'), `/jobs/${j.id}/report`], [t('del'), remove]];
    buttons.unshift([t('compare'), () => compare(j)]);
    fill(li, j.name, j.state, `${t('job_done', j.result)} · ${t('left', Math.ceil(j.deleted_in_s / 60))}`, null, buttons);
  } else if (j.state === 'failed' || j.state === 'cancelled') {
    fill(li, j.name, j.state, j.problem || '', null, [[t('del'), remove]]);
  } else {
    const known = j.expected_frames > 0;
    fill(li, j.name, j.state, j.frames ? `${j.frames}${known ? ` / ${j.expected_frames}` : ''} ${t('frames')}` : '',
      known ? j.frames / j.expected_frames : 0, [[t('cancel'), remove]]);
  }
}
async function load() {
  const data = await attempt(api('GET', '/jobs'));
  if (!data) return;
  jobs = data.jobs;
  keepMinutes = Math.round(data.keep_s / 60);
  $('try-keep').textContent = t('try_keep', keepMinutes);
  const there = new Set(jobs.map(j => 'job-' + j.id));
  for (const li of [...$('jobs').children]) if (li.id.startsWith('job-') && !there.has(li.id)) li.remove();
  jobs.forEach(showJob);
  for (const id of files.keys()) if (!there.has('job-' + id)) files.delete(id);
  schedule();
}
function schedule() {
  clearTimeout(timer);
  const busy = jobs.some(j => j.state === 'waiting' || j.state === 'running');
  if (visible) timer = setTimeout(load, busy ? 400 : 10000);
}
async function send(file) {
  const key = 'up-' + Math.random().toString(36).slice(2), li = row(key);
  const u = upload(`/jobs?name=${encodeURIComponent(file.name).replace(/[!'()*]/g, '_')}`, file, f => fill(li, file.name, 'uploading', '', f, [[t('cancel'), () => u.cancel()]]));
  fill(li, file.name, 'uploading', '', 0, [[t('cancel'), () => u.cancel()]]);
  uploads.push(u);
  try {
    const { id } = await u.done;
    files.set(id, file);
    li.remove();
    load();
  } catch (e) {
    fill(li, file.name, 'failed', e.message, null, [[t('del'), () => li.remove()]]);
  }
}
export function take(list) {
  // One at a time: a queue of its own, so that many files do not fill the connections.
  let line = Promise.resolve();
  for (const f of list) line = line.then(() => send(f));
}

// ---------------------------------------------------------------- before and after
const isVideo = j => j.result.type.startsWith('video/');
function media(j, url, className) {
  const e = isVideo(j) ? make('video', { muted: true, playsInline: true, loop: true, preload: 'auto' }) : make('img', { alt: t(className) });
  e.className = className;
  e.src = url;
  return e;
}
function split() {
  const v = Number($('split').value), after = $('pair').querySelector('.after'), edge = $('pair').querySelector('.edge');
  if (after) after.style.clipPath = `inset(0 0 0 ${v}%)`;
  if (edge) edge.style.left = `${v}%`;
}
function showPlaying() {
  $('pair-play').lastElementChild.textContent = t(comparing.after.paused === false ? 'pause' : 'play');
}
function compare(j) {
  closeCompare();
  const file = files.get(j.id), pair = $('pair');
  comparing = { url: file ? URL.createObjectURL(file) : null };
  const after = media(j, `/jobs/${j.id}/result`, 'after');
  if (comparing.url) {
    const before = media(j, comparing.url, 'before');
    pair.append(before, after, make('span', { className: 'edge' }), make('b', { className: 'l' }, t('before')), make('b', { className: 'r' }, t('after')));
    comparing.before = before;
  } else pair.append(after);
  comparing.after = after;
  $('compare-name').textContent = j.name;
  $('split').parentElement.hidden = !comparing.url;
  $('pair-play').hidden = !isVideo(j);
  showPlaying();
  if (isVideo(j)) after.addEventListener('timeupdate', () => {
    const b = comparing?.before;
    if (b && Math.abs(b.currentTime - after.currentTime) > 0.08) b.currentTime = after.currentTime;
  });
  $('split').value = comparing.url ? 50 : 0;
  $('compare').hidden = false;
  split();
  $('compare').scrollIntoView({ block: 'nearest' });
}
function closeCompare() {
  if (comparing?.url) URL.revokeObjectURL(comparing.url);
  comparing = null;
  $('pair').replaceChildren();
  $('compare').hidden = true;
}
$('compare-close').addEventListener('click', closeCompare);
$('split').addEventListener('input', split);
$('pair').addEventListener('pointermove', event => {
  if (!comparing?.url || (event.pointerType === 'mouse' && event.buttons === 0)) return;
  const r = $('pair').getBoundingClientRect();
  $('split').value = (event.clientX - r.left) / r.width * 100;
  split();
});
$('pair-play').addEventListener('click', () => {
  const both = [comparing.before, comparing.after].filter(Boolean), play = comparing.after.paused;
  both.forEach(v => (play ? v.play() : v.pause()));
  showPlaying();
});

// ---------------------------------------------------------------- dropping
export function dropZone(zone, input, taken) {
  input.addEventListener('change', () => { taken([...input.files]); input.value = ''; });
  for (const name of ['dragenter', 'dragover']) zone.addEventListener(name, e => { e.preventDefault(); zone.classList.add('over'); });
  for (const name of ['dragleave', 'drop']) zone.addEventListener(name, () => zone.classList.remove('over'));
  zone.addEventListener('drop', e => { e.preventDefault(); taken([...e.dataTransfer.files]); });
}
dropZone($('drop'), $('files'), take);
export function showTry(on) {
  visible = on;
  if (on) load(); else clearTimeout(timer);
}
onLanguage(() => {
  $('try-keep').textContent = t('try_keep', keepMinutes);
  for (const [name, word] of [['.l', 'before'], ['.r', 'after']]) if ($('pair').querySelector(name)) $('pair').querySelector(name).textContent = t(word);
  if (comparing) showPlaying();
  for (const b of document.querySelectorAll('#jobs .row')) b.dataset.key = '';
  jobs.forEach(showJob);
});
