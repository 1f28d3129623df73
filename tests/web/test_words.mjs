// The words of the page: each in English and in German, none missing, none left over; and those that
// the server's own words are turned into.
// usage: node test_words.mjs
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const read = name => fs.readFileSync(path.join(root, name), 'utf8');
const all = (text, pattern) => [...text.matchAll(pattern)].flatMap(m => m.slice(1).filter(w => w !== undefined));
const quoted = (name, from, to) => { // the strings of a piece of C
  const text = read(name), at = text.indexOf(from), end = text.indexOf(to, at);
  assert.ok(at >= 0 && end > at, `${name}: ${from}`);
  return all(text.slice(at, end), /"([^"]*)"/g);
};

globalThis.localStorage = { getItem: () => null, setItem() {} };
Object.defineProperty(globalThis, 'navigator', { value: { language: 'en-US' }, configurable: true });
const { words } = await import(pathToFileURL(path.join(root, 'server/page/words.js')));

// The same in both languages: names and units.
const SAME = /^(live|pause|token|ms|seconds|do_auto|choices\.(ellipse|bytetrack|sort)|reasons\.(none)?)$/;

function compare(en, de, at) {
  assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort(), `keys of ${at || 'both'}`);
  for (const key of Object.keys(en)) {
    const name = at ? `${at}.${key}` : key, a = en[key], b = de[key];
    assert.equal(typeof b, typeof a, name);
    if (typeof a === 'object') compare(a, b, name);
    else if (typeof a === 'function') assert.equal(b.length, a.length, name);
    else {
      assert.equal(b === '', a === '', `${name} is empty in one language`);
      if (a === b) assert.match(name, SAME, `${name} is not translated: ${a}`);
    }
  }
}
compare(words.en, words.de, '');

// What the page asks for is there, and nothing else.
const page = path.join(root, 'server/page');
const html = read('server/page/index.html');
const code = fs.readdirSync(page).filter(f => f.endsWith('.js') && f !== 'words.js').map(f => read('server/page/' + f)).join('\n');
const asked = new Set([...all(html, /data-t(?:-label)?="(\w+)"/g), ...all(code, /\bt\('(\w+)'[,)]/g), ...all(code, /\bt\([^()']*\? '(\w+)' : '(\w+)'/g)]);
assert.ok(asked.size > 90, `${asked.size} words asked for`);
for (const key of asked) assert.ok(key in words.en, `no word for ${key}`);
const begun = all(code, /\bt\('(\w+_)' \+/g);
for (const key of Object.keys(words.en)) {
  const used = asked.has(key) || begun.some(b => key.startsWith(b)) || new RegExp(`['".]${key}\\b`).test(code) || ['reasons', 'events'].includes(key);
  assert.ok(used, `nobody asks for ${key}`);
}

// Settings and their choices.
for (const name of all(read('server/page/panels.js'), /\{ name: '(\w+)'/g)) assert.ok(words.en.fields[name], `fields.${name}`);
for (const list of all(read('server/page/panels.js'), /choices: \[([^\]]*)\]/g))
  for (const choice of all(list, /'([\w-]+)'/g)) assert.ok(words.en.choices[choice], `choices.${choice}`);

// What the server says.
const has = (table, list) => { assert.ok(list.length > 3, table); for (const w of list) assert.ok(w in words.en[table], `${table}: ${w}`); };
has('reasons', quoted('media/live.c', '*live_cover_text(', '\n}'));
has('reasons', quoted('src/veil.c', '*veil_reason_text(', '\n}'));
has('lamp', quoted('media/live.c', '*live_phase_text(', ';'));
has('events', quoted('media/live_work.c', '"none", "detection', ';'));
has('job', quoted('server/jobs.c', 'state_words[] =', ';'));
console.log(`${Object.keys(words.en).length} words, ${asked.size} asked for by name`);
