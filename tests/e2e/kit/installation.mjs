// An installation of its own: a home in a temporary folder, five programs on free ports, each of which can be killed
// and started again. EVENTS_BUILD names the build folder (default build/release).
import { spawn, execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, closeSync, readFileSync, readdirSync, rmSync, existsSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, SLOW } from './wait.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const BUILD = path.resolve(ROOT, process.env.EVENTS_BUILD ?? 'build/release');
export const PROGRAMS = ['gateway', 'prospects', 'relay', 'projection', 'grid'];
const FAULTS = /ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer: detected/;

// Below those that the kernel gives away, and begun elsewhere by every process: tests run side by side.
const PORTS = { first: 10000, count: 10000 };
let candidate = (process.pid * 61) % PORTS.count;

const isFree = (port) => new Promise((done) => {
  const server = net.createServer().once('error', () => done(false));
  server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
});

export async function freePorts(count) {
  const ports = [];
  while (ports.length < count) {
    const port = PORTS.first + candidate++ % PORTS.count;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

/** The status of a plain GET, or 0 where nobody answers. */
export function getStatus(url) {
  return new Promise((done) => {
    const request = http.get(url, { agent: false, timeout: 2000 }, (answer) => {
      answer.resume();
      done(answer.statusCode);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => done(0));
  });
}

export class Installation {
  children = new Map(); // program -> ChildProcess
  admin = {};

  constructor(folder = tmpdir()) {
    this.home = mkdtempSync(path.join(folder, 'events-e2e-'));
  }

  /** env: of all programs; programs: of one, { grid: { NAME: value } }; folder: where its home will be;
   *  configured(installation): its addresses are known, nothing runs yet. */
  static async start(options = {}) {
    const it = new Installation(options.folder);
    it.programs = options.programs ?? {};
    try {
      await it.#configure(options.env ?? {});
      options.configured?.(it);
      const made = await it.ctl('init');
      if (made.code) throw new Error(`eventsctl init: exit ${made.code}: ${made.stderr}`);
      await Promise.all(PROGRAMS.map((program) => it.run(program)));
      it.password = readFileSync(path.join(it.home, 'demo-password'), 'utf8').trim();
      return it;
    } catch (error) {
      error.message += '\n' + it.logs();
      await it.stop().catch(() => {});
      throw error;
    }
  }

  async #configure(env) {
    const ports = await freePorts(5 + PROGRAMS.length);
    const address = (i) => `127.0.0.1:${ports[i]}`;
    PROGRAMS.forEach((program, i) => (this.admin[program] = address(5 + i)));
    this.url = `https://localhost:${ports[0]}`;
    this.plainUrl = `http://${address(1)}`;
    this.projectionUrl = `http://${address(4)}`;
    const { EVENTS_URL, EVENTS_ADMIN_LISTEN, ...outer } = process.env;
    this.env = {
      ...outer,
      EVENTS_HOME: this.home,
      EVENTS_LISTEN: address(0),
      EVENTS_LISTEN_PLAIN: address(1),
      EVENTS_GRID_LISTEN: address(2),
      EVENTS_GRID_LISTEN_PLAIN: address(3),
      EVENTS_PROJECTION_LISTEN: address(4),
      LSAN_OPTIONS: `suppressions=${path.join(ROOT, 'tests/kit/lsan.supp')}:print_suppressions=0`, // for builds with ASan
      ...env,
    };
  }

  /** Starts one program and waits until it is ready. `gateway-2` is another gateway, with settings of its own. */
  async run(program) {
    const log = openSync(path.join(this.home, 'logs', `${program}.log`), 'a');
    const child = spawn(path.join(BUILD, `events-${program.replace(/-\d+$/, '')}`), [], {
      env: { ...this.env, ...this.programs[program], EVENTS_ADMIN_LISTEN: this.admin[program] },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.exited = new Promise((done) => {
      child.on('exit', (code, signal) => done({ code, signal }));
      child.on('error', (error) => done({ code: -1, error }));
    });
    this.children.set(program, child);
    await eventually(`events-${program} ready`, async () => {
      if (child.exitCode !== null || child.signalCode) throw new Error(`events-${program} has ended (${child.exitCode})`);
      return (await getStatus(`http://${this.admin[program]}/health/ready`)) === 200;
    }, 40000);
  }

  /** kill -9, and the program is gone when this returns. */
  async kill(program) {
    const child = this.children.get(program);
    child.kill('SIGKILL');
    await child.exited;
  }

  /** eventsctl; input goes to its standard input. */
  ctl(...args) {
    return this.ctlWith({}, ...args);
  }

  ctlWith({ input = '', cwd = this.home } = {}, ...args) {
    return new Promise((done) => {
      const child = execFile(path.join(BUILD, 'eventsctl'), args, { env: this.env, cwd, maxBuffer: 64 << 20 },
        (error, stdout, stderr) => done({ code: error ? error.code ?? -1 : 0, stdout, stderr }));
      child.stdin.on('error', () => {});
      child.stdin.end(input);
    });
  }

  /** The end of each program's log, for the message of a failed test. */
  logs(lines = 15) {
    const folder = path.join(this.home, 'logs');
    if (!existsSync(folder)) return '';
    return readdirSync(folder).map((name) => {
      const text = readFileSync(path.join(folder, name), 'utf8').trimEnd().split('\n');
      return `--- ${name}\n${text.slice(-lines).join('\n')}`;
    }).join('\n');
  }

  #sanitizerReports() {
    return [...this.children.keys()].flatMap((program) => {
      const file = path.join(this.home, 'logs', `${program}.log`);
      const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
      const at = text.search(FAULTS);
      return at < 0 ? [] : [`${program}: ${text.slice(at, at + 4000)}`];
    });
  }

  /** SIGTERM to all. Throws where one does not end in time, ends with another code than 0, or a sanitizer spoke. */
  async stop() {
    const faults = [];
    for (const [program, child] of this.children) {
      if (child.exitCode !== null || child.signalCode) continue;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 22000 * SLOW);
      const { code, signal } = await child.exited;
      clearTimeout(timer);
      if (code !== 0) faults.push(`events-${program} ended with ${signal ?? `exit code ${code}`} on SIGTERM`);
    }
    faults.push(...this.#sanitizerReports());
    if (faults.length) faults.push(this.logs());
    if (!process.env.EVENTS_E2E_KEEP) rmSync(this.home, { recursive: true, force: true });
    if (faults.length) throw new Error(faults.join('\n'));
  }
}
