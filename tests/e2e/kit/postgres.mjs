// A PostgreSQL of its own: a data folder in a temporary place, a free port of loopback. Debian's package postgresql has
// the programs; as root it runs as the user postgres. It does not sync, unless the test is about loss of power, or a
// benchmark wants it to.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from './wait.mjs';

const HOME = '/usr/lib/postgresql';
const BIN = existsSync(HOME) ? path.join(HOME, readdirSync(HOME).sort().at(-1), 'bin') : '';

function serverUser() {
  if (process.getuid() !== 0) return {};
  const [, , uid, gid] = readFileSync('/etc/passwd', 'utf8').split('\n').find((line) => line.startsWith('postgres:')).split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

export class Postgres {
  folder = mkdtempSync(path.join(tmpdir(), 'events-postgres-'));
  user = serverUser();

  static start(...databases) {
    return Postgres.startWith(['fsync=off', 'full_page_writes=off'], ...databases);
  }

  static async startWith(settings, ...databases) {
    const it = new Postgres();
    it.settings = settings;
    if (it.user.uid) chownSync(it.folder, it.user.uid, it.user.gid);
    it.data = path.join(it.folder, 'data');
    execFileSync(path.join(BIN, 'initdb'), ['-D', it.data, '-A', 'trust', '-U', 'postgres', '--no-sync', '--no-locale', '-E', 'UTF8'],
      { ...it.user, cwd: '/', stdio: 'ignore' });
    const probe = net.createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    it.port = probe.address().port;
    await new Promise((done) => probe.close(done));
    await it.up();
    for (const name of databases) it.sql('postgres', `CREATE DATABASE ${name}`);
    return it;
  }

  async up() {
    const log = openSync(path.join(this.folder, 'log'), 'a');
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', ...this.settings];
    const env = this.shadow ? { LD_PRELOAD: this.library, POWER_ROOT: this.data, POWER_SHADOW: this.shadow } : {};
    this.server = spawn(path.join(BIN, 'postgres'), ['-D', this.data, '-p', this.port, ...settings.flatMap((s) => ['-c', s])],
      { ...this.user, cwd: '/', env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
    this.exited = once(this.server, 'exit');
    await eventually('PostgreSQL', () => this.sql('postgres', 'SELECT 1') === '1', 30000);
  }

  /** From now on `library` (tests/chaos/power.c) keeps what the server, which must sync, has synced. */
  async savesBy(library) {
    await this.down();
    Object.assign(this, { library: path.join(this.folder, 'power.so'), shadow: path.join(this.folder, 'shadow') });
    execFileSync('cp', ['-a', this.data, this.shadow]);
    execFileSync('install', ['-m', '755', library, this.library]); // where the server's user can read it
    await this.up();
  }

  /** The loss of power: all its processes are gone at once, and what had not been synced is, too. */
  async cut() {
    this.signal('SIGKILL');
    await this.exited;
    rmSync(this.data, { recursive: true });
    execFileSync('cp', ['-a', this.shadow, this.data]);
    await this.up();
  }

  /** The server and its sessions hang ('SIGSTOP'), or go on ('SIGCONT'): connections stay, nobody answers. */
  signal(name) {
    const parent = (pid) => {
      try {
        return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1]);
      } catch {
        return 0; // it has just ended
      }
    };
    const sessions = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && parent(pid) === this.server.pid).map(Number);
    for (const pid of [this.server.pid, ...sessions]) {
      try {
        process.kill(pid, name);
      } catch (error) {
        if (error.code !== 'ESRCH') throw error; // it has just ended
      }
    }
  }

  /** As a crash of the server: every connection breaks at once; what was committed stays. */
  async down() {
    this.server.kill('SIGQUIT');
    await this.exited;
  }

  async restart() {
    await this.down();
    await this.up();
  }

  sql(database, text) {
    return execFileSync(path.join(BIN, 'psql'), ['-h', '127.0.0.1', '-p', this.port, '-U', 'postgres', '-d', database, '-Atqc', text],
      { stdio: ['ignore', 'pipe', 'pipe'] }).toString().trim();
  }

  url(database) {
    return `postgresql://postgres@127.0.0.1:${this.port}/${database}`;
  }

  async stop() {
    await this.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
