// What the network looked at: a picture goes in, maps come back, and are laid over one's own copy.
import { $, api, make, upload } from './net.js';
import { dropZone } from './tryit.js';
import { onLanguage, t } from './words.js';

let known = null, result = null, url = null;

function figure(face, map) {
  const heat = make('img', { className: 'heat', src: '', alt: '' });
  heat.src = url.heat.get(map);
  const box = make('span', { className: 'frame' }), [x, y, w, h] = face.box;
  Object.assign(box.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${h * 100}%` });
  const text = t('ex_map', map.class, map.logit);
  return make('figure', {}, make('div', { className: 'under' }, make('img', { src: url.own, alt: text }), heat, box), make('figcaption', {}, text));
}
function show() {
  $('ex-result').hidden = !result;
  if (!result) return;
  $('ex-status').textContent = result.faces.length ? '' : t('ex_none');
  $('ex-result').replaceChildren(...result.faces.map((f, i) => make('section', { className: 'card' },
    make('h3', {}, t('ex_face', i + 1, f.score, f.interview)), make('div', { className: 'ex' }, ...f.maps.map(m => figure(f, m))))));
}
function forget() {
  if (url) [url.own, ...url.heat.values()].forEach(URL.revokeObjectURL);
  url = result = null;
}
const blobOf = text => new Blob([Uint8Array.from(atob(text), c => c.charCodeAt(0))], { type: 'image/png' });
async function take(files) {
  const file = files[0];
  if (!file) return;
  forget();
  show();
  $('ex-status').textContent = t('ex_work');
  try {
    const got = await upload('/explain', file).done;
    url = { own: URL.createObjectURL(file), heat: new Map(got.faces.flatMap(f => f.maps).map(m => [m, URL.createObjectURL(blobOf(m.png))])) };
    result = got;
    show();
  } catch (e) {
    $('ex-status').textContent = e.message;
  }
}
export async function showExplain(on) {
  if (!on || known !== null) return;
  try { known = (await api('GET', '/explain')).available; } catch { known = false; }
  $('explain-off').hidden = known;
  $('explain-on').hidden = !known;
}
dropZone($('ex-drop'), $('ex-file'), take);
onLanguage(show);
