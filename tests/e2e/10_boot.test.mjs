// Starting and stopping by ./dev, as a user does it; and eventsctl's own promises.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { call, Client } from './kit/client.mjs';
import { BUILD, getStatus, ROOT } from './kit/installation.mjs';
import { SLOW } from './kit/wait.mjs';

const home = mkdtempSync(path.join(tmpdir(), 'events-boot-'));
let up;

function run(file, args, { env = {}, input = '' } = {}) {
  return new Promise((done) => {
    const child = execFile(file, args, { cwd: ROOT, env: { ...process.env, ...env }, timeout: 240000 },
      (error, stdout, stderr) => done({ code: error ? error.code ?? -1 : 0, stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

const dev = (...args) => run('./dev', [...args, '--home', home], { env: { EVENTS_BUILD: BUILD, EVENTS_START_SECONDS: String(60 * SLOW) } });
const ctl = (args, input) => run(path.join(BUILD, 'eventsctl'), args, { env: { EVENTS_HOME: home }, input });

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.on('listening', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return String(port);
}

const ports = [];
const start = () => dev('up', '--detach', '--no-install', '--port', ports[0], '--plain-port', ports[1]);

before(async () => {
  ports.push(await freePort(), await freePort());
  const { code, stdout, stderr } = await start();
  assert.equal(code, 0, stderr);
  up = JSON.parse(stdout.trimEnd().split('\n').at(-1));
});

after(async () => {
  await dev('down');
  rmSync(home, { recursive: true, force: true });
});

test('the last line of up --detach tells where and who', () => {
  assert.equal(up.url.split(':').at(-1), ports[0]);
  assert.equal(up.plainUrl.split(':').at(-1), ports[1]);
  assert.equal(up.user, 'demo');
  assert.equal(up.password, readFileSync(path.join(home, 'demo-password'), 'utf8').trim());
});

test('every program is ready, and the gateway says so on its main port', async () => {
  const { stdout } = await dev('status', '--json');
  const status = JSON.parse(stdout);
  assert.deepEqual(status.programs.map((p) => p.name).sort(),
    ['events-gateway', 'events-grid', 'events-projection', 'events-prospects', 'events-relay']);
  for (const { name, state, admin } of status.programs) {
    assert.equal(state, 'ready', name);
    assert.equal(await getStatus(`http://${admin}/health/live`), 200, name);
    assert.equal(await getStatus(`http://${admin}/metrics`), 200, name);
  }
  assert.equal(await getStatus(`${up.plainUrl}/health/live`), 200);
  assert.equal(await getStatus(`${up.plainUrl}/health/ready`), 200);
  assert.notEqual(await getStatus(`${up.plainUrl}/metrics`), 200, 'metrics are never public');
});

test('the printed user signs in', async () => {
  const client = await new Client(up.plainUrl, { username: up.user, password: up.password }).login();
  assert.equal((await client.get('/api/prospects')).status, 200);
});

test('TLS offers HTTP/2 and HTTP/1.1 with the certificate of the home', async () => {
  for (const protocol of ['h2', 'http/1.1']) {
    const socket = tls.connect({ host: 'localhost', port: Number(ports[0]), ca: readFileSync(path.join(home, 'tls.crt')),
      servername: 'localhost', ALPNProtocols: [protocol] });
    await new Promise((done, fail) => socket.on('secureConnect', done).on('error', fail));
    assert.equal(socket.alpnProtocol, protocol);
    assert.match(socket.getProtocol(), /TLSv1\.[23]/);
    socket.destroy();
  }
});

test('what is secret can be read by its owner only', () => {
  const files = ['demo-password', 'tls.key', ...['webhook', 'internal', 'grid-key'].map((name) => `secrets/${name}`),
    ...readdirSync(path.join(home, 'keys')).map((name) => `keys/${name}`)];
  for (const file of files) assert.equal(statSync(path.join(home, file)).mode & 0o777, 0o600, file);
  for (const folder of ['keys', 'secrets']) assert.equal(statSync(path.join(home, folder)).mode & 0o777, 0o700, folder);
});

test('a second up is quick and changes nothing', async () => {
  const begun = Date.now();
  const { code, stdout } = await start();
  const seconds = (Date.now() - begun) / 1000;
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout.trimEnd().split('\n').at(-1)), up);
  assert.ok(seconds < 5 * SLOW, `took ${seconds} s`);
});

test('down leaves no process; up after it is ready in under five seconds', async () => {
  const pids = JSON.parse((await dev('status', '--json')).stdout).programs.map((p) => p.pid);
  assert.equal((await dev('down')).code, 0);
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  const begun = Date.now();
  assert.equal((await start()).code, 0);
  const seconds = (Date.now() - begun) / 1000;
  assert.ok(seconds < 5 * SLOW, `took ${seconds} s`);
});

test('--print-config stands among other flags, and shows no secret', async () => {
  const env = { EVENTS_HOME: home, EVENTS_GRID_KEY: 'hush-1', EVENTS_WEBHOOK_SECRET: 'hush-2', EVENTS_INTERNAL_SECRET: 'hush-3',
    EVENTS_DEMO_PASSWORD: 'hush-4', EVENTS_QUEUE: 'amqps://u:hush-5@h/q', EVENTS_READ_DB: 'Server=h;Pwd=hush-6;' };
  for (const program of ['gateway', 'prospects', 'relay', 'projection', 'grid']) {
    const { code, stdout, stderr } = await run(path.join(BUILD, `events-${program}`), ['--threads', '3', '--print-config'], { env });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^EVENTS_THREADS=3$/m);
    assert.match(stdout, /^EVENTS_QUEUE=amqps:\/\/u:\(secret\)@h\/q$/m);
    assert.doesNotMatch(stdout, /hush/);
  }
});

test('eventsctl: exit codes and texts', async () => {
  const CASES = [
    [['--help'], 0, /usage: eventsctl/],
    [['import', '--help'], 0, /--rejected PATH/],
    [[], 64, /a verb is missing/],
    [['no-such-verb'], 64, /no such verb/],
    [['import'], 64, /needs FILE/],
    [['import', 'no-such-file.csv'], 64, /No such file/],
    [['import', 'x.csv', '--frobnicate'], 64, /no option --frobnicate/],
    [['user', 'add', 'x'], 64, /--tenant/],
    [['user', 'passwd', 'nobody', '--password-stdin'], 64, /./, 'a-long-enough-password\n'],
    [['user', 'add', 'x', '--tenant', 'no-such-tenant', '--scopes', 'prospects:read', '--password-stdin'], 64, /./,
      'a-long-enough-password\n'],
    [['user', 'add', 'x', '--tenant', 'demo', '--scopes', 'all', '--password-stdin'], 64, /scopes/, 'secret-secret\n'],
    [['init'], 0, /^$/],
    [['migrate'], 0, /^$/],
  ];
  for (const [args, want, text, input] of CASES) {
    const { code, stdout, stderr } = await ctl(args, input);
    assert.equal(code, want, `eventsctl ${args.join(' ')}: ${stderr}`);
    assert.match(stdout + stderr, text, `eventsctl ${args.join(' ')}`);
  }
});

test('eventsctl: a user is made, gets a new password, and is shut out', async () => {
  const login = async (password) => (await call(`${up.plainUrl}/api/auth/login`, { method: 'POST',
    headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'grace', password }) })).status;
  assert.equal((await ctl(['tenant', 'add', 'navy'])).code, 0);
  const add = () => ctl(['user', 'add', 'grace', '--tenant', 'navy', '--scopes', 'prospects:read', '--password-stdin'], 'first-password-1\n');
  assert.equal((await add()).code, 0);
  assert.equal((await add()).code, 64, 'the name is taken');
  assert.equal(await login('first-password-1'), 200);
  assert.equal((await ctl(['user', 'passwd', 'grace', '--password-stdin'], 'second-password-2\n')).code, 0);
  assert.equal(await login('first-password-1'), 401);
  assert.equal(await login('second-password-2'), 200);
  assert.equal((await ctl(['user', 'disable', 'grace'])).code, 0);
  assert.equal(await login('second-password-2'), 401);
});
