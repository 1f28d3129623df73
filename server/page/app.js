// Puts the parts together: views, lamp, charts, keys.
import { $, api, attempt, listen, sendToken, toast } from './net.js';
import { lang, onLanguage, reason, setLanguage, t, translate } from './words.js';
import { Chart } from './charts.js';
import { showConnection, showLive, showLiveView, takeFrame, toggleBoxes } from './view.js';
import { loadSources, showPanels } from './panels.js';
import { showTry } from './tryit.js';
import { explainLive, showExplain, showExplainLive } from './explain.js';

document.documentElement.lang = lang();
let state = null;

// ---------------------------------------------------------------- views
function showView() {
  const name = ['try', 'explain'].find(v => location.hash === '#' + v) || 'live';
  for (const v of ['live', 'try', 'explain']) $('view-' + v).hidden = v !== name;
  for (const a of document.querySelectorAll('.tabs a')) {
    if (a.dataset.view === name) a.setAttribute('aria-current', 'page'); else a.removeAttribute('aria-current');
  }
  document.title = `veil – ${t(name)}`;
  showLiveView(name === 'live');
  showTry(name === 'try');
  showExplain(name === 'explain');
}
addEventListener('hashchange', showView);

// ---------------------------------------------------------------- lamp and panic
function showLamp(word, why) {
  const lamp = $('lamp');
  lamp.dataset.lamp = word;
  const text = t('lamp')[word];
  if ($('lamp-word').textContent !== text) $('lamp-word').textContent = text;
  if ($('lamp-why').textContent !== why) $('lamp-why').textContent = why;
}
function showPanic(on) {
  const b = $('panic');
  b.setAttribute('aria-pressed', on);
  b.querySelector('span').textContent = t(on ? 'panic_on' : 'panic');
}
async function setPanic(on) {
  showPanic(on);
  if (!await attempt(api('POST', '/panic', { on }))) showPanic(!!state?.panic); // not what was hoped for
}
$('panic').addEventListener('click', () => setPanic($('panic').getAttribute('aria-pressed') !== 'true'));

// ---------------------------------------------------------------- charts
const charts = { fps: new Chart($('g-fps'), ['--accent'], 30), latency: new Chart($('g-latency'), ['--accent'], 100),
  load: new Chart($('g-load'), ['--accent'], 1), faces: new Chart($('g-faces'), ['--warn', '--good'], 4) };
const say = (id, text) => { $(id).textContent = text; };
function showCharts(l) {
  if (!l) { for (const k of Object.keys(charts)) say('v-' + k, '–'); return; }
  charts.fps.add(l.fps_out);
  if (l.latency_p50_ms) charts.latency.add(l.latency_p50_ms);
  charts.load.add(l.cpu);
  charts.faces.add(l.hidden, l.kept);
  say('v-fps', l.fps_out.toFixed(1));
  say('v-latency', l.latency_p50_ms ? `${Math.round(l.latency_p50_ms)} ${t('ms')}` : '–'); // known with an output only
  say('v-load', `${l.cpu.toFixed(2)} ${t('cores')}`);
  say('v-faces', t('faces_value', l.hidden, l.kept));
}

// ---------------------------------------------------------------- state
function showState(s) {
  state = s;
  showLamp(s.lamp, s.lamp === 'covered' ? reason(s.reason) : '');
  showPanic(s.panic);
  $('undo').disabled = s.undo === 0;
  $('version').textContent = `veil ${s.version}`;
  showLive(s);
  showPanels(s);
  showCharts(s.live);
  showExplainLive(!!s.live);
}
async function undo() {
  const s = await attempt(api('POST', '/undo'));
  if (!s) return;
  showState(s);
  toast(t('said_undo'));
}
$('undo').addEventListener('click', undo);
$('why').addEventListener('click', () => { explainLive(); location.hash = '#explain'; });
$('toast-undo').addEventListener('click', undo);

// ---------------------------------------------------------------- keys, language, theme
addEventListener('keydown', event => {
  if (event.ctrlKey && event.key === 'z' && !event.target.closest('input[type=text],input[type=password]')) { event.preventDefault(); undo(); return; }
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest('input[type=text],input[type=password],select,dialog')) return;
  if (event.key === 'p') setPanic(true); // ending it takes the button
  else if (event.key === 'b') toggleBoxes();
  else if (event.key === 'u') undo();
  else if (event.key === 'Escape') $('toast').hidden = true;
});
$('lang').addEventListener('click', () => setLanguage(lang() === 'en' ? 'de' : 'en'));
const themes = ['auto', 'light', 'dark'];
function setTheme(name) {
  if (name === 'auto') delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = name;
  localStorage.setItem('veil.theme', name);
}
setTheme(themes.includes(localStorage.getItem('veil.theme')) ? localStorage.getItem('veil.theme') : 'auto');
$('theme').addEventListener('click', () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  setTheme(dark ? 'light' : 'dark');
});
onLanguage(() => {
  translate();
  $('lang').textContent = lang() === 'en' ? 'Deutsch' : 'English';
  $('lang').lang = lang() === 'en' ? 'de' : 'en';
  showView();
  if (state) showState(state);
});

// ---------------------------------------------------------------- start
async function begin() {
  const given = /^#token=([\w-]+)$/.exec(location.hash);
  if (given) {
    history.replaceState(null, '', '/');
    await sendToken(given[1]);
  }
  showView();
  const first = await attempt(api('GET', '/state'));
  if (first) showState(first);
  await loadSources();
  listen({ frame: takeFrame, state: showState }, showConnection);
}
begin();
