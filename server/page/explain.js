// What the network looked at: a picture goes in, the hidden picture with the evidence comes back.
import { $, api, make, upload } from './net.js';
import { dropZone } from './tryit.js';
import { onLanguage, t } from './words.js';

let known = null, result = null;

function show() {
  $('ex-result').hidden = !result;
  if (!result) return;
  $('ex-status').textContent = result.faces.length ? '' : t('ex_none');
  $('ex-result').replaceChildren(...result.faces.map((f, i) => {
    const img = make('img', { src: `data:image/jpeg;base64,${f.jpeg}`, alt: `${t('ex_heat')} ${i + 1}` });
    const text = `${t('ex_heat')}: ${f.target} · ${Math.round(f.interview * 100)} % interview · ${Math.round(f.score * 100)} %`;
    return make('figure', {}, img, make('figcaption', {}, text));
  }));
}
async function take(files) {
  const file = files[0];
  if (!file) return;
  result = null;
  show();
  $('ex-status').textContent = t('ex_work');
  try {
    result = await upload('/explain', file).done;
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
