// Settings, sources, outputs, what happened.
import { $, api, attempt, icon, inTurn, make, toast } from './net.js';
import { eventText, lang, onLanguage, t } from './words.js';
import { cameras, startCamera, stopCamera } from './camera.js';

// ---------------------------------------------------------------- settings
const percent = v => `${Math.round(v * 100)} %`, plain = v => String(v), seconds = v => `${(v / 1000).toFixed(1)} ${t('seconds')}`;
const groups = {
  who: [{ name: 'keep', choices: ['auto', 'none', 'largest', 'center', 'chosen'] }, { name: 'keep_score', min: 0.3, max: 0.98, step: 0.01, show: percent }],
  how: [{ name: 'style', choices: ['blur', 'mosaic', 'solid', 'weak-blur', 'weak-mosaic'], seg: true, weak: c => c.startsWith('weak') }, { name: 'fill', colour: true, only: c => c.style === 'solid' },
    { name: 'shape', choices: ['ellipse', 'box', 'head'] }, { name: 'cells', min: 1, max: 8, step: 1, show: plain },
    { name: 'padding', min: 0, max: 1, step: 0.05, show: percent }, { name: 'feather', min: 0, max: 0.5, step: 0.02, show: percent }],
  find: [{ name: 'min_score', min: 0.05, max: 0.9, step: 0.01, show: percent }, { name: 'low_score', min: 0.05, max: 0.9, step: 0.01, show: percent },
    { name: 'hold_ms', min: 100, max: 5000, step: 100, show: seconds }, { name: 'lookahead_ms', min: 0, max: 1000, step: 50, show: v => `${v} ms, ${t('next_start')}` },
    { name: 'detect_every', min: 1, max: 6, step: 1, show: plain }, { name: 'tracker', choices: ['bytetrack', 'sort', 'none'], words: { none: 'no' } },
    { name: 'preview_quality', min: 30, max: 95, step: 5, show: percent }],
};
const fields = [];
let forceWeak = false, config = {}, waiting = {}, touched = 0;

// What a slider on its way changes meanwhile goes together.
const save = inTurn(async () => {
  const body = waiting;
  waiting = {};
  try { await api('PATCH', '/config', body); } catch (e) { touched = 0; toast(e.message); }
});
function change(name, value) {
  waiting[name] = value;
  config[name] = value;
  touched = Date.now();
  showFields();
  save();
}
function choiceWord(f, c) { return t('choices')[f.words?.[c] || c]; }

function buildField(f) {
  const id = 'set-' + f.name, head = make('span'), out = make('output');
  out.setAttribute('for', id);
  f.head = head;
  f.out = out;
  if (f.seg) {
    const seg = make('div', { className: 'seg', role: 'radiogroup' });
    f.group = seg;
    f.inputs = f.choices.map(c => {
      const input = make('input', { type: 'radio', name: id, value: c });
      input.addEventListener('change', () => change(f.name, c));
      const word = make('span');
      seg.append(make('label', {}, input, word));
      return { input, word, c };
    });
    f.box = make('div', { className: 'field' }, make('span', { className: 'label' }, head), seg);
    if (f.weak) f.box.append(f.note = make('p', { className: 'bad small', hidden: true }));
    return f.box;
  }
  if (f.choices) {
    f.input = make('select', { id }, ...f.choices.map(c => make('option', { value: c })));
    f.input.addEventListener('change', () => change(f.name, f.input.value));
  } else if (f.colour) {
    f.input = make('input', { id, type: 'color' });
    f.input.addEventListener('input', () => change(f.name, f.input.value));
  } else {
    f.input = make('input', { id, type: 'range', min: f.min, max: f.max, step: f.step });
    f.input.addEventListener('input', () => change(f.name, Number(f.input.value)));
  }
  f.box = make('div', { className: 'field' }, make('label', { htmlFor: id }, head, out), f.input);
  return f.box;
}
function showFields() {
  for (const f of fields) {
    const v = config[f.name];
    f.head.textContent = t('fields')[f.name];
    if (f.group) f.group.setAttribute('aria-label', t('fields')[f.name]);
    if (f.weak) { f.note.hidden = !f.weak(v || ''); f.note.textContent = t('weak_note'); }
    if (f.only) f.box.hidden = !f.only(config);
    if (v === undefined) continue;
    if (f.seg) for (const i of f.inputs) { i.input.parentElement.hidden = !!f.weak?.(i.c) && !forceWeak; i.input.checked = i.c === v; i.word.textContent = choiceWord(f, i.c); }
    else if (f.choices) for (const o of f.input.options) o.textContent = choiceWord(f, o.value);
    if (f.input && f.input.value !== String(v)) f.input.value = v;
    if (f.show) f.out.textContent = f.show(v);
  }
}
for (const [name, list] of Object.entries(groups)) {
  fields.push(...list);
  $('f-' + name).append(make('div', { className: 'stack' }, ...list.map(buildField)));
}

// ---------------------------------------------------------------- source
let lists = { devices: [], files: [] };
const kind = $('src-kind');

function showKind() {
  for (const e of document.querySelectorAll('#p-source [data-for]')) e.hidden = e.dataset.for !== kind.value;
  if (kind.value === 'browser') fillCameras();
}
function fill(select, entries) {
  const before = select.value;
  select.replaceChildren(...(entries.length ? entries : [['', t('none')]]).map(([value, text]) => make('option', { value }, text)));
  if (entries.some(([v]) => v === before)) select.value = before;
}
async function fillCameras() {
  const list = await cameras();
  fill($('src-cam'), list.length ? list : [['', t('cam_any')]]);
}
export async function loadSources() {
  const data = await attempt(api('GET', '/sources'));
  if (!data) return;
  lists = data;
  fill($('src-device'), data.devices.map(d => [d.device, d.name ? `${d.name} (${d.device})` : d.device]));
  fill($('src-file'), data.files.map(f => [f, f]));
  const now = data.current && ['device', 'url', 'file', 'browser'].find(k => k in data.current);
  kind.value = now || (data.devices.length ? 'device' : data.files.length ? 'file' : 'browser');
  if (now === 'device') $('src-device').value = data.current.device;
  if (now === 'file') { $('src-file').value = data.current.file; $('src-loop').checked = data.current.loop; }
  showKind();
}
kind.addEventListener('change', showKind);
$('src-start').addEventListener('click', async () => {
  if (kind.value === 'browser') { await startCamera($('src-cam').value); return; }
  stopCamera();
  const bodies = { device: () => ({ device: $('src-device').value }), file: () => ({ file: $('src-file').value, loop: $('src-loop').checked }),
    url: () => ({ url: $('src-url').value.trim(), listen: $('src-listen').checked }) };
  const body = bodies[kind.value]();
  // An address that was started before is shown without its secrets only.
  const again = kind.value === 'url' && !body.url;
  if (await attempt(api('POST', '/sources', again ? { again: true } : body))) $('src-url').value = '';
});
$('src-stop').addEventListener('click', async () => {
  stopCamera();
  await attempt(api('DELETE', '/sources'));
});
function showSource(state) {
  const i = state.live?.input;
  $('src-stop').disabled = !state.running && !state.live;
  const what = i?.width ? `${i.url}: ${i.codec}, ${i.width}×${i.height}${i.fps < 240 ? `, ${i.fps.toFixed(1)} fps` : ''}` : '';
  $('src-now').textContent = [what, state.problem].filter(Boolean).join(' – ');
  const url = state.source?.url;
  if (url && $('src-url').placeholder !== url) $('src-url').placeholder = url;
}

// ---------------------------------------------------------------- outputs
let shown = '';
const size = b => (b > 1e9 ? `${(b / 1e9).toFixed(2)} GB` : b > 1e6 ? `${(b / 1e6).toFixed(1)} MB` : `${Math.round(b / 1e3)} kB`);
function outWord(o) {
  if (!o.on) return [t('out_off'), ''];
  if (o.problem) return [o.problem, 'bad'];
  if (!o.up) return [t('out_wait'), 'warn'];
  return [`${t(o.record ? 'out_rec' : 'out_up')} · ${size(o.bytes || 0)}`, 'good'];
}
function showOutputs(list) {
  const key = JSON.stringify(list.map(o => [o.id, o.on, o.url])) + t('remove');
  if (key !== shown) {
    shown = key;
    $('outs').replaceChildren(...list.map(o => {
      const name = o.url;
      const onoff = make('button', { type: 'button', className: 'quiet' }, o.on ? t('off') : t('on'));
      onoff.setAttribute('aria-label', `${o.on ? t('off') : t('on')}: ${name}`);
      onoff.addEventListener('click', () => attempt(api('PATCH', `/outputs/${o.id}`, { on: !o.on })));
      const bin = make('button', { type: 'button', className: 'quiet' }, icon('bin'));
      bin.setAttribute('aria-label', `${t('remove')}: ${name}`);
      bin.addEventListener('click', () => attempt(api('DELETE', `/outputs/${o.id}`)));
      const tag = make('span', { className: 'tag', id: `out-${o.id}` });
      return make('li', { className: 'item' }, make('span', { className: 'text' }, name, make('small', {}, tag)), onoff, bin);
    }));
  }
  for (const o of list) {
    const [word, look] = outWord(o), tag = $(`out-${o.id}`);
    tag.textContent = word;
    tag.className = 'tag ' + look;
  }
}
$('out-form').addEventListener('submit', async event => {
  event.preventDefault();
  const url = $('out-url').value.trim();
  if (url && await attempt(api('POST', '/outputs', { url }))) $('out-url').value = '';
});
$('out-rec').addEventListener('click', () => attempt(api('POST', '/outputs', { record: true })));

// ---------------------------------------------------------------- what happened
let noted = '';
function showNotes(list) {
  const key = lang() + JSON.stringify(list);
  if (key === noted) return;
  noted = key;
  $('notes').replaceChildren(...[...list].reverse().map(n => {
    const time = new Date(n.time * 1000);
    return make('li', {}, make('time', { dateTime: time.toISOString() }, time.toLocaleTimeString(lang())), make('span', {}, eventText(n.text)));
  }));
}

export function showPanels(state) {
  if (forceWeak !== state.force_weak) { forceWeak = state.force_weak; showFields(); }
  if (Date.now() - touched > 1500) { config = { ...state.config }; showFields(); }
  showSource(state);
  showOutputs(state.outputs);
  showNotes(state.notes);
}
onLanguage(() => { shown = ''; showFields(); showKind(); });
