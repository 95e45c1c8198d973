// A RabbitMQ of its own: data folder, node name, cookie, epmd and free ports of loopback; queues and exchange are those
// of infra/rabbitmq/definitions.json. Debian's package rabbitmq-server has the programs. It takes some seconds to start.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT, freePorts } from './installation.mjs';
import { eventually } from './wait.mjs';

const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'; // not that of /usr/sbin, which becomes another user

const isOpen = (port) => new Promise((done) => {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('connect', () => (socket.destroy(), done(true)));
  socket.on('error', () => done(false));
});

export class Rabbitmq {
  folder = mkdtempSync(path.join(tmpdir(), 'events-rabbitmq-'));

  /** commands: with the command queue, whose 64 lanes take a while to make; events: with the projection's queue. */
  static async start({ commands = true, events = false } = {}) {
    const it = new Rabbitmq();
    const at = (name) => path.join(it.folder, name);
    for (const name of ['db', 'log', 'home', 'generated', 'definitions']) mkdirSync(at(name));
    const [port, distPort, epmdPort] = await freePorts(3);
    it.port = port;
    const read = (name) => JSON.parse(readFileSync(path.join(ROOT, 'infra/rabbitmq', name)));
    const { queues: lanes, ...definitions } = read('definitions.json'), projection = read('projection.json');
    definitions.queues = [...(commands ? lanes : []), ...(events ? projection.queues : [])];
    if (events) definitions.bindings = projection.bindings;
    writeFileSync(at('definitions/queues.json'), JSON.stringify(definitions));
    writeFileSync(at('definitions/users.json'), JSON.stringify({
      users: [{ name: 'events', password: 'secret', tags: '' }],
      permissions: [{ user: 'events', vhost: '/', configure: '^amq\\.gen',
        write: '^amq\\.(default$|gen)|^identity-commands\\.|^prospect-events', read: '^amq\\.gen|^identity-commands\\.|^prospect-events' }],
    }));
    writeFileSync(at('plugins'), '[rabbitmq_amqp1_0].\n');
    writeFileSync(at('rabbitmq.conf'), `load_definitions = ${at('definitions')}\namqp1_0.default_user = none\n`);
    it.env = {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: at('home'),
      RABBITMQ_NODENAME: `events${distPort}@localhost`, RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1', RABBITMQ_NODE_PORT: port,
      RABBITMQ_DIST_PORT: distPort, ERL_EPMD_ADDRESS: '127.0.0.1', ERL_EPMD_PORT: epmdPort,
      RABBITMQ_MNESIA_BASE: at('db'), RABBITMQ_LOG_BASE: at('log'), RABBITMQ_GENERATED_CONFIG_DIR: at('generated'),
      RABBITMQ_PID_FILE: at('pid'), RABBITMQ_CONFIG_FILE: at('rabbitmq.conf'), RABBITMQ_ENABLED_PLUGINS_FILE: at('plugins'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1',
      RUNNING_UNDER_SYSTEMD: '1', // the server takes the place of its script: one process, its pid
    };
    it.epmd = it.#spawn('/usr/bin/epmd'); // ours; the server would leave one behind
    try {
      await eventually('epmd', () => isOpen(epmdPort));
      await it.up();
    } catch (error) {
      await it.stop();
      throw error;
    }
    return it;
  }

  #spawn(program) {
    const log = openSync(path.join(this.folder, 'output'), 'a');
    const child = spawn(program, [], { env: this.env, stdio: ['ignore', log, log] });
    child.gone = once(child, 'exit');
    return child;
  }

  async up() {
    this.server = this.#spawn(SERVER);
    await eventually('RabbitMQ', () => {
      if (this.server.exitCode !== null) throw new Error(readFileSync(path.join(this.folder, 'output'), 'utf8'));
      return isOpen(this.port);
    }, 180000, 100);
  }

  /** kill -9: what it has accepted stays. */
  async down() {
    this.server.kill('SIGKILL');
    await this.server.gone;
  }

  signal(name) {
    this.server.kill(name);
  }

  url(name = 'identity-commands') {
    return `amqp://events:secret@127.0.0.1:${this.port}/${name}`;
  }

  async stop() {
    for (const child of [this.server, this.epmd]) {
      if (!child || child.exitCode !== null || child.signalCode) continue;
      child.kill('SIGKILL');
      await child.gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
