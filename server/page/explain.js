// What the network looked at: a picture goes in, maps come back, and are laid over one's own copy; or
// over the live picture as it went out, which then comes with them.
import { $, api, make, upload } from './net.js';
import { dropZone } from './tryit.js';
import { onLanguage, reason, t } from './words.js';

let known = null, result = null, url = null, asked = 0;

function frame(face) {
  const box = make('span', { className: 'frame' }), [x, y, w, h] = face.box;
  Object.assign(box.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${h * 100}%` });
  return box;
}
function figure(face, map) {
  const text = map ? t('ex_map', map.class, map.logit) : t('ex_unseen');
  const layers = map ? [make('img', { className: 'heat', src: url.heat.get(map), alt: '' })] : [];
  return make('figure', {}, make('div', { className: 'under' }, make('img', { src: url.own, alt: text }), ...layers, frame(face)), make('figcaption', {}, text));
}
function title(face, i) {
  const track = result.tracks?.find(x => x.id === face.track);
  if (!track) return [t('ex_face', i + 1, face.score, face.interview)];
  const kept = track.decision === 'keep';
  return [`${t('ex_track', track.id)} `, make('span', { className: 'tag ' + (kept ? 'good' : 'warn') }, t(kept ? 'kept' : 'hidden')),
    make('small', {}, t('ex_over_time', reason(track.reason), track.interview, face.score))];
}
function show() {
  $('ex-result').hidden = !result;
  if (!result) return;
  $('ex-status').textContent = !result.faces.length ? t('ex_none') : result.picture ? t('ex_live_text') : '';
  $('ex-result').replaceChildren(...result.faces.map((f, i) => make('section', { className: 'card' },
    make('h3', {}, ...title(f, i)), make('div', { className: 'ex' }, ...(f.maps.length ? f.maps : [null]).map(m => figure(f, m))))));
}
function forget() {
  if (url) [url.own, ...url.heat.values()].forEach(URL.revokeObjectURL);
  url = result = null;
}
const urlOf = (text, type) => URL.createObjectURL(new Blob([Uint8Array.from(atob(text), c => c.charCodeAt(0))], { type }));
async function work(question, file) {
  const mine = ++asked;
  forget();
  show();
  $('ex-status').textContent = t('ex_work');
  try {
    const got = await question;
    if (mine !== asked) return; // another picture was asked for meanwhile
    url = { own: got.picture ? urlOf(got.picture, 'image/jpeg') : URL.createObjectURL(file),
      heat: new Map(got.faces.flatMap(f => f.maps).map(m => [m, urlOf(m.png, 'image/png')])) };
    result = got;
    show();
  } catch (e) {
    if (mine === asked) $('ex-status').textContent = e.message;
  }
}
export const explainLive = () => work(api('POST', '/explain/live'));
export function showExplainLive(runs) {
  $('ex-live').disabled = $('why').disabled = !runs;
  $('ex-nolive').hidden = runs;
}
export async function showExplain(on) {
  if (!on || known !== null) return;
  try { known = (await api('GET', '/explain')).available; } catch { known = false; }
  $('explain-off').hidden = known;
  $('explain-on').hidden = !known;
}
dropZone($('ex-drop'), $('ex-file'), ([file]) => file && work(upload('/explain', file).done, file));
$('ex-live').addEventListener('click', explainLive);
onLanguage(show);
