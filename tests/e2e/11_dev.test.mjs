// What ./dev promises besides starting: usage errors, the foreground, two homes that want one port, and no package
// manager where nothing is missing.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { BUILD, freePorts, ROOT } from './kit/installation.mjs';
import { eventually, SLOW } from './kit/wait.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'events-dev-'));
const home = path.join(folder, 'a "quoted" home');
const env = { ...process.env, EVENTS_BUILD: BUILD, EVENTS_START_SECONDS: String(60 * SLOW) };

after(() => rmSync(folder, { recursive: true, force: true }));

function dev(args, options = {}) {
  return new Promise((done) => execFile('./dev', args, { cwd: ROOT, env, timeout: 120000, ...options },
    (error, stdout, stderr) => done({ code: error ? error.code ?? -1 : 0, stdout, stderr })));
}

/** The processes whose command line names the folder of this test. */
function processes() {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return words.includes(folder) ? [`${pid} ${words}`] : [];
    } catch {
      return []; // it has just ended
    }
  });
}

test('what is typed wrong ends with 64, at once, and makes nothing', async () => {
  const CASES = [
    [['no-such-verb'], /usage/],
    [['up', '--no-such-option'], /unknown option/],
    [['up', '--port', 'abc'], /--port is a number/],
    [['up', '--port', '65536'], /--port is a number/],
    [['up', '--port', `1;touch ${folder}/pwned`], /--port is a number/],
    [['up', '--plain-port', '$(id)'], /--plain-port is a number/],
    [['up', '--port', '9000', '--plain-port', '9000'], /the same/],
    [['up', '--seed', 'many'], /--seed is a number/],
    [['up', '--seed=-1'], /--seed is a number/],
    [['test', 'no-such-suite'], /no suite/],
    [['logs', 'no-such-program'], /no program/],
    [['logs'], /nothing has been started/],
    [['fuzz', 'no-such-fuzzer'], /no fuzzer/],
  ];
  for (const [args, text] of CASES) {
    const { code, stderr } = await dev([...args, '--home', home]);
    assert.equal(code, 64, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, text, args.join(' '));
  }
  assert.equal((await dev(['up', '--home'])).code, 64, 'an option without its value');
  assert.deepEqual(readdirSync(folder), []);
});

/** ./dev with nothing on the path but these programs: real ones linked, the others as scripts. */
async function devWithPath(scripts) {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  try {
    for (const name of ['bash', 'readlink', 'dirname']) symlinkSync(`/usr/bin/${name}`, path.join(bin, name));
    for (const [name, script] of Object.entries(scripts))
      writeFileSync(path.join(bin, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
    return await dev(['up', '--detach', '--home', home], { env: { ...env, PATH: bin, HOME: folder } });
  } finally {
    rmSync(bin, { recursive: true });
  }
}

const MISSING = {
  'dpkg-query': 'for package in "${@:4}"; do [ "$package" = cmake ] || printf "installed:%s " "$package"; done',
  'id': 'echo 1000',
};

test('neither root nor sudo: the one line to run, and 69', async () => {
  const { code, stderr } = await devWithPath(MISSING);
  assert.equal(code, 69, stderr);
  assert.match(stderr, /^ {2}apt-get update && apt-get install -y --no-install-recommends cmake$/m);
});

test('with sudo it is asked to update and to install what is missing, nothing else', async () => {
  const { stderr } = await devWithPath({ ...MISSING, sudo: 'echo "sudo: $*" >&2; case $* in *install*) exit 100 ;; esac' });
  const asked = stderr.split('\n').filter((line) => line.startsWith('sudo: '));
  assert.equal(asked.length, 2, stderr);
  assert.match(asked[0], /^sudo: apt-get .*update$/);
  assert.match(asked[1], /^sudo: env DEBIAN_FRONTEND=noninteractive apt-get .*install -y --no-install-recommends cmake$/);
});

test('in the foreground: an address in use, then a run that Ctrl-C ends with all it has started', async () => {
  const [port, plainPort, other] = await freePorts(3);
  const up = (at, ...more) => ['up', '--no-install', '--home', at, '--port', String(port), '--plain-port', String(plainPort), ...more];
  const child = spawn('./dev', up(home), { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  try {
    await eventually('up in the foreground', () => said.includes('Ctrl-C stops it'), 60000);
    assert.equal(JSON.parse((await dev(['status', '--json', '--home', home])).stdout).home, home);

    const second = path.join(folder, 'second');
    const refused = await dev(['up', '--detach', '--no-install', '--home', second, '--port', String(port), '--plain-port', String(other)]);
    assert.equal(refused.code, 69, refused.stderr);
    assert.match(refused.stderr, /Address already in use[\s\S]*choose others by --port/);
    assert.deepEqual(readdirSync(path.join(second, 'run')).filter((name) => name.endsWith('.pid')), []);

    const moved = await dev(['up', '--detach', '--no-install', '--home', home, '--port', String(other), '--plain-port', String(plainPort)]);
    assert.equal(moved.code, 64);
    assert.match(moved.stderr, /runs with other ports/);
    assert.equal((await dev(['up', '--detach', '--no-install', '--home', home])).code, 0, 'and without ports it is as it was');
  } finally {
    child.kill('SIGINT');
  }
  assert.deepEqual((await ended)[0], 0, said);
  await eventually('nothing left', () => processes().length === 0, 5000).catch(() => assert.deepEqual(processes(), []));
  assert.ok(!existsSync(path.join(home, 'run', 'gateway.pid')));
});
