// English and German; the server's own words are keys of lamp, reasons and events. Elements name their text: data-t, and data-t-label for aria-label and title.
export const words = {
  en: {
    skip: 'Skip to content', views: 'Views', live: 'Live', try: 'Try it', explain: 'Explain', theme: 'Light or dark',
    panic: 'Cover everything', panic_on: 'End covering', tools: 'Tools', click: 'What a click does', mode_faces: 'Faces',
    mode_hide: 'Hide zone', mode_keep: 'Keep zone', boxes: 'Boxes', undo: 'Undo', shot: 'Save this picture', full: 'Full screen',
    c_fps: 'Frames a second', c_latency: 'Latency', c_load: 'Load', c_faces: 'Faces', log: 'What happened',
    source: 'Source', src_kind: 'Where from', src_device: 'Camera of this machine', src_browser: 'Camera of this browser',
    src_url: 'Address of a stream', src_file: 'File', camera: 'Camera', file: 'File', address: 'Address',
    loop: 'Start again at its end', listen: 'Wait for the sender to connect (RTMP)', start: 'Start', stop: 'Stop',
    outputs: 'Outputs', out_url: 'Address to send to', out_add: 'Add', record: 'Record to a file', faces_now: 'Faces now',
    no_faces: 'None in the picture.', zones: 'Zones', no_zones: 'None. Draw one over the picture.',
    who: 'Who stays visible', how: 'How faces are hidden', find: 'Finding and following',
    try_title: 'Hide faces in your pictures and videos',
    try_text: 'Bystanders are hidden with the settings of the live view. In a single picture every face is hidden, since nobody can be told to be the speaker from one picture alone.',
    drop: 'Drop pictures or a video here', drop_more: 'or choose files',
    try_keep: n => `What you upload is deleted as soon as it was worked on, the result after ${n} minutes. The picture before is shown by your browser from your own file.`,
    close: 'Close', split: 'Before and after', play: 'Play', pause: 'Pause', explain_title: 'What the network looked at',
    explain_text: 'Warm colours show where the network found its evidence for a face being the speaker or a bystander.',
    explain_off: 'This server cannot explain: the part for it is not built in.', ex_drop: 'Drop a picture here', ex_work: 'Looking …',
    ex_none: 'No face was found.', ex_face: (n, s, i) => `Face ${n}: ${Math.round(s * 100)} % sure, speaker ${Math.round(i * 100)} %`,
    ex_map: (c, v) => `What spoke for ${c === 'interview' ? 'the speaker' : 'a bystander'} (${v.toFixed(1)})`,
    why: 'Explain this picture', ex_live: 'Explain the live picture', ex_nolive: 'Nothing runs now.', ex_track: id => `Face ${id}`,
    ex_over_time: (why, i, s) => `${why ? why + ' · ' : ''}speaker over time: ${Math.round(i * 100)} % · the network is ${Math.round(s * 100)} % sure that this is a face`,
    ex_unseen: 'Hidden: the network finds no face here any more.',
    ex_live_text: 'This is the live picture as it went out. The raw one is gone, so hidden faces show only what is left of them for a network.',
    private: 'Nothing leaves this machine. No face is stored.', api: 'HTTP interface', login: 'Token needed',
    login_text: 'This page is open to other machines, so it asks for the token that veil serve printed.', token: 'Token',
    login_go: 'Open', login_bad: 'This is not the token.', login_wait: 'Too many attempts. Wait a little.',
    lamp: { protecting: 'Protecting', covered: 'Covered', starting: 'Starting', stopped: 'Stopped' },
    reasons: {
      '': '', 'nothing came yet': 'nothing came yet', 'input lost': 'source lost', 'a stage stands still': 'something stands still', overload: 'overload',
      'covered by hand': 'by hand', 'the analysis failed': 'analysis failed',
      none: '', 'new face': 'new face', evidence: 'evidence', user: 'chosen', zone: 'zone', rule: 'rule', lost: 'lost', start: 'start', error: 'error',
      late: 'late', panic: 'by hand', cut: 'cut', unknown: 'unknown',
    },
    events: { none: 'Looking in every frame again', 'detection on every 2nd frame': 'Busy: looking in every 2nd frame', 'detection on every 3rd frame': 'Busy: looking in every 3rd frame',
      'half the frame rate': 'Busy: half the frame rate', covered: 'Too busy: covered' },
    curtain: { stopped: 'Nothing runs', starting: 'Starting', lost: 'No connection to veil' },
    curtain_more: { stopped: 'Choose a source and start it.', starting: 'Nothing is shown before it was analysed.', lost: 'Trying again. What is sent elsewhere goes on.' },
    hint_faces: 'Click a face to keep or hide it. Keys: B boxes, U undo, P cover everything.',
    hint_zone: 'Draw over the picture. Enter puts a zone into the middle; arrow keys move it, with Shift its size, Delete removes it.',
    face: (id, d, why) => `Face ${id}: ${d}, ${why}`, hidden: 'hidden', kept: 'visible',
    do_keep: 'Keep', do_hide: 'Hide', do_auto: 'Auto', zone: (n, d) => `Zone ${n}: ${d}`, zone_hide: 'always hidden', zone_keep: 'faces stay visible',
    remove: 'Remove', said_keep: id => `Face ${id} stays visible.`, said_hide: id => `Face ${id} is hidden.`, said_auto: id => `Face ${id}: automatic.`,
    said_zone: 'Zone added.', said_undo: 'Undone.', gone: 'This face is gone.', none: 'none found',
    ms: 'ms', cores: 'cores', faces_value: (h, k) => `${h} hidden · ${k} visible`,
    out_up: 'sending', out_rec: 'recording', out_wait: 'waiting', out_off: 'off', off: 'Off', on: 'On',
    job: { waiting: 'waiting', running: 'working', done: 'done', failed: 'failed', cancelled: 'cancelled', uploading: 'uploading' },
    cancel: 'Cancel', del: 'Delete', download: 'Download', report: 'Report', compare: 'Compare', frames: 'frames',
    job_done: r => `${r.frames} frame${r.frames === 1 ? '' : 's'}, faces: ${r.faces_hidden} hidden, ${r.faces_kept} visible`,
    left: n => `deleted in ${n} min`, before: 'before', after: 'after', no_camera: 'No camera, or not allowed.', cam_any: 'Default camera',
    cam_insecure: 'Browsers give the camera to https pages and to this machine only.',
    weak_note: 'Weak: made of the face itself. Whoever knows the person may recognise them.',
    seconds: 's', next_start: 'from the next start', ended: 'The browser no longer sends.',
    fields: { keep: 'Rule', keep_score: 'Certainty needed to be seen', style: 'Style', shape: 'Shape', cells: 'Colours across a mask', padding: 'Padding', feather: 'Soft edge', fill: 'Colour',
      min_score: 'Score that hides a face', low_score: 'Score that goes on hiding', hold_ms: 'Lost faces stay hidden', lookahead_ms: 'Look-ahead', detect_every: 'Look in each n-th frame', tracker: 'Following', preview_quality: 'Quality of this picture' },
    choices: { auto: 'The speaker', none: 'Nobody', largest: 'Largest face', center: 'Nearest the middle', chosen: 'Only chosen ones', blur: 'Blur', mosaic: 'Mosaic', solid: 'Solid', 'weak-blur': 'Weak blur', 'weak-mosaic': 'Weak mosaic', ellipse: 'Ellipse', box: 'Box', head: 'Head', bytetrack: 'ByteTrack', sort: 'SORT', no: 'None' },
  },
  de: {
    skip: 'Zum Inhalt', views: 'Ansichten', live: 'Live', try: 'Ausprobieren', explain: 'Erklären', theme: 'Hell oder dunkel',
    panic: 'Alles verdecken', panic_on: 'Verdecken beenden', tools: 'Werkzeuge', click: 'Was ein Klick tut', mode_faces: 'Gesichter',
    mode_hide: 'Zone verdecken', mode_keep: 'Zone zeigen', boxes: 'Rahmen', undo: 'Zurück', shot: 'Dieses Bild sichern', full: 'Vollbild',
    c_fps: 'Bilder je Sekunde', c_latency: 'Verzögerung', c_load: 'Last', c_faces: 'Gesichter', log: 'Was geschah',
    source: 'Quelle', src_kind: 'Woher', src_device: 'Kamera dieses Rechners', src_browser: 'Kamera dieses Browsers',
    src_url: 'Adresse eines Streams', src_file: 'Datei', camera: 'Kamera', file: 'Datei', address: 'Adresse',
    loop: 'Am Ende von vorn beginnen', listen: 'Auf den Sender warten (RTMP)', start: 'Starten', stop: 'Anhalten',
    outputs: 'Ausgänge', out_url: 'Adresse, an die gesendet wird', out_add: 'Hinzufügen', record: 'In eine Datei aufnehmen', faces_now: 'Gesichter jetzt',
    no_faces: 'Keine im Bild.', zones: 'Zonen', no_zones: 'Keine. Zeichnen Sie eine über das Bild.',
    who: 'Wer sichtbar bleibt', how: 'Wie Gesichter verdeckt werden', find: 'Finden und Verfolgen',
    try_title: 'Gesichter in Ihren Bildern und Videos verdecken',
    try_text: 'Unbeteiligte werden mit den Einstellungen der Live-Ansicht verdeckt. In einem einzelnen Bild wird jedes Gesicht verdeckt, denn aus einem Bild allein ist nicht zu erkennen, wer spricht.',
    drop: 'Bilder oder ein Video hier ablegen', drop_more: 'oder Dateien wählen',
    try_keep: n => `Was Sie hochladen, wird nach der Bearbeitung sofort gelöscht, das Ergebnis nach ${n} Minuten. Das Bild davor zeigt Ihr Browser aus Ihrer eigenen Datei.`,
    close: 'Schließen', split: 'Vorher und nachher', play: 'Abspielen', pause: 'Pause', explain_title: 'Worauf das Netz geachtet hat',
    explain_text: 'Warme Farben zeigen, woran das Netz erkannt hat, ob ein Gesicht zur sprechenden Person oder zu Unbeteiligten gehört.',
    explain_off: 'Dieser Server kann nichts erklären: Der Teil dafür ist nicht eingebaut.', ex_drop: 'Ein Bild hier ablegen', ex_work: 'Schaue …',
    ex_none: 'Kein Gesicht gefunden.', ex_face: (n, s, i) => `Gesicht ${n}: zu ${Math.round(s * 100)} % sicher, sprechend ${Math.round(i * 100)} %`,
    ex_map: (c, v) => `Was für ${c === 'interview' ? 'Sprechende' : 'Unbeteiligte'} sprach (${v.toFixed(1)})`,
    why: 'Dieses Bild erklären', ex_live: 'Das Live-Bild erklären', ex_nolive: 'Es läuft gerade nichts.', ex_track: id => `Gesicht ${id}`,
    ex_over_time: (why, i, s) => `${why ? why + ' · ' : ''}spricht, über die Zeit: ${Math.round(i * 100)} % · zu ${Math.round(s * 100)} % hält das Netz dies für ein Gesicht`,
    ex_unseen: 'Verdeckt: Das Netz findet hier kein Gesicht mehr.',
    ex_live_text: 'Dies ist das Live-Bild, wie es hinausging. Das rohe gibt es nicht mehr; verdeckte Gesichter zeigen darum nur, was für ein Netz von ihnen übrig ist.',
    private: 'Nichts verlässt diesen Rechner. Kein Gesicht wird gespeichert.', api: 'HTTP-Schnittstelle', login: 'Token nötig',
    login_text: 'Diese Seite ist für andere Rechner offen, darum fragt sie nach dem Token, den veil serve ausgegeben hat.', token: 'Token',
    login_go: 'Öffnen', login_bad: 'Das ist nicht der Token.', login_wait: 'Zu viele Versuche. Warten Sie ein wenig.',
    lamp: { protecting: 'Schützt', covered: 'Verdeckt', starting: 'Startet', stopped: 'Angehalten' },
    reasons: {
      '': '', 'nothing came yet': 'noch nichts gekommen', 'input lost': 'Quelle verloren', 'a stage stands still': 'etwas steht still', overload: 'überlastet',
      'covered by hand': 'von Hand', 'the analysis failed': 'Untersuchung gescheitert',
      none: '', 'new face': 'neues Gesicht', evidence: 'Hinweise', user: 'gewählt', zone: 'Zone', rule: 'Regel', lost: 'verloren', start: 'Anfang', error: 'Fehler',
      late: 'zu spät', panic: 'von Hand', cut: 'Schnitt', unknown: 'unbekannt',
    },
    events: { none: 'Sucht wieder in jedem Bild', 'detection on every 2nd frame': 'Ausgelastet: sucht in jedem 2. Bild', 'detection on every 3rd frame': 'Ausgelastet: sucht in jedem 3. Bild',
      'half the frame rate': 'Ausgelastet: halbe Bildrate', covered: 'Zu ausgelastet: verdeckt' },
    curtain: { stopped: 'Es läuft nichts', starting: 'Startet', lost: 'Keine Verbindung zu veil' },
    curtain_more: { stopped: 'Wählen Sie eine Quelle und starten Sie sie.', starting: 'Nichts wird gezeigt, bevor es untersucht wurde.', lost: 'Neuer Versuch läuft. Was anderswohin gesendet wird, geht weiter.' },
    hint_faces: 'Klicken Sie auf ein Gesicht, um es zu zeigen oder zu verdecken. Tasten: B Rahmen, U zurück, P alles verdecken.',
    hint_zone: 'Zeichnen Sie über das Bild. Enter setzt eine Zone in die Mitte; Pfeiltasten bewegen sie, mit Umschalt die Größe, Entf löscht sie.',
    face: (id, d, why) => `Gesicht ${id}: ${d}, ${why}`, hidden: 'verdeckt', kept: 'sichtbar',
    do_keep: 'Zeigen', do_hide: 'Verdecken', do_auto: 'Auto', zone: (n, d) => `Zone ${n}: ${d}`, zone_hide: 'immer verdeckt', zone_keep: 'Gesichter bleiben sichtbar',
    remove: 'Entfernen', said_keep: id => `Gesicht ${id} bleibt sichtbar.`, said_hide: id => `Gesicht ${id} wird verdeckt.`, said_auto: id => `Gesicht ${id}: automatisch.`,
    said_zone: 'Zone hinzugefügt.', said_undo: 'Rückgängig gemacht.', gone: 'Dieses Gesicht ist weg.', none: 'keine gefunden',
    ms: 'ms', cores: 'Kerne', faces_value: (h, k) => `${h} verdeckt · ${k} sichtbar`,
    out_up: 'sendet', out_rec: 'nimmt auf', out_wait: 'wartet', out_off: 'aus', off: 'Aus', on: 'An',
    job: { waiting: 'wartet', running: 'in Arbeit', done: 'fertig', failed: 'gescheitert', cancelled: 'abgebrochen', uploading: 'lädt hoch' },
    cancel: 'Abbrechen', del: 'Löschen', download: 'Herunterladen', report: 'Bericht', compare: 'Vergleichen', frames: 'Bilder',
    job_done: r => `${r.frames} Bild${r.frames === 1 ? '' : 'er'}, Gesichter: ${r.faces_hidden} verdeckt, ${r.faces_kept} sichtbar`,
    left: n => `wird in ${n} min gelöscht`, before: 'vorher', after: 'nachher', no_camera: 'Keine Kamera, oder nicht erlaubt.', cam_any: 'Standardkamera',
    cam_insecure: 'Browser geben die Kamera nur für https-Seiten und diesen Rechner frei.',
    weak_note: 'Schwach: aus dem Gesicht selbst gemacht. Wer die Person kennt, kann sie wiedererkennen.',
    seconds: 's', next_start: 'ab dem nächsten Start', ended: 'Der Browser sendet nicht mehr.',
    fields: { keep: 'Regel', keep_score: 'Nötige Sicherheit, um sichtbar zu sein', style: 'Stil', shape: 'Form', cells: 'Farben über die Maske', padding: 'Zugabe', feather: 'Weicher Rand', fill: 'Farbe',
      min_score: 'Wert, der ein Gesicht verdeckt', low_score: 'Wert, der weiter verdeckt', hold_ms: 'Verlorene bleiben verdeckt', lookahead_ms: 'Vorausschau', detect_every: 'In jedem n-ten Bild suchen', tracker: 'Verfolgung', preview_quality: 'Güte dieses Bildes' },
    choices: { auto: 'Wer spricht', none: 'Niemand', largest: 'Größtes Gesicht', center: 'Nahe der Mitte', chosen: 'Nur gewählte', blur: 'Unschärfe', mosaic: 'Mosaik', solid: 'Fläche', 'weak-blur': 'Schwache Unschärfe', 'weak-mosaic': 'Schwaches Mosaik', ellipse: 'Ellipse', box: 'Rechteck', head: 'Kopf', bytetrack: 'ByteTrack', sort: 'SORT', no: 'Keine' },
  },
};
let language = localStorage.getItem('veil.lang') || (navigator.language.startsWith('de') ? 'de' : 'en');
if (!words[language]) language = 'en';
const listeners = [];

export const lang = () => language;
export const t = (key, ...args) => {
  const w = words[language][key];
  if (w === undefined) console.error(`no word for ${key}`);
  return typeof w === 'function' ? w(...args) : w;
};
export const reason = text => words[language].reasons[text] ?? text;
// A line of the log: a phase with its reason, or one of the events that have words of their own.
export function eventText(text) {
  const [phase, why] = text.split(': '), word = words[language].lamp[phase];
  if (words[language].events[text]) return words[language].events[text];
  return word ? word + (why ? `: ${reason(why)}` : '') : text;
}
export const onLanguage = f => { listeners.push(f); f(); };
export function translate(root = document) {
  for (const e of root.querySelectorAll('[data-t]')) e.textContent = t(e.dataset.t);
  for (const e of root.querySelectorAll('[data-t-label]')) {
    e.setAttribute('aria-label', t(e.dataset.tLabel));
    if (e.matches('button,a')) e.title = t(e.dataset.tLabel);
  }
}
export function setLanguage(next) {
  language = next;
  localStorage.setItem('veil.lang', next);
  document.documentElement.lang = next;
  translate();
  for (const f of listeners) f();
}
