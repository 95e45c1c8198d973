// Several gateways of one installation: PostgreSQL holds what they share, RabbitMQ fans the events out, and haproxy is the
// one address that clients know. Each gateway has a home of its own, with the keys, secrets and certificate of the first.
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { Client } from './client.mjs';
import { Haproxy } from './haproxy.mjs';
import { Installation, PROGRAMS, freePorts } from './installation.mjs';
import { Postgres } from './postgres.mjs';
import { Rabbitmq } from './rabbitmq.mjs';

const SHARED = ['keys', 'secrets', 'tls.crt', 'tls.key'];

export class Gateways {
  names = ['gateway', 'gateway-2', 'gateway-3'];

  /** commands: they wait in the broker, too, and not in the database; webhook: so the projection has its events. */
  static async start({ commands = false, webhook = false } = {}) {
    const it = new Gateways();
    try {
      [it.rabbitmq, it.postgres] = await Promise.all([Rabbitmq.start({ commands, events: true }), Postgres.start('events')]);
      const admin = {}, ports = await freePorts(6);
      it.plain = { 'gateway-2': `127.0.0.1:${ports[0]}`, 'gateway-3': `127.0.0.1:${ports[1]}` };
      admin['gateway-2'] = `127.0.0.1:${ports[2]}`, admin['gateway-3'] = `127.0.0.1:${ports[3]}`;
      const own = (name, tls) => ({ EVENTS_HOME: path.join(it.home, name), EVENTS_LISTEN: `127.0.0.1:${tls}`, EVENTS_LISTEN_PLAIN: it.plain[name] });
      it.installation = await Installation.start({
        env: {
          EVENTS_WRITE_DB: it.postgres.url('events'), EVENTS_READ_DB: it.postgres.url('events'),
          EVENTS_FANOUT: it.rabbitmq.url('prospect-events'),
          ...(webhook ? {} : { EVENTS_PROJECTION_SOURCE: it.rabbitmq.url('prospect-events.projection') }),
          ...(commands ? { EVENTS_QUEUE: it.rabbitmq.url() } : {}),
        },
        configured(installation) {
          it.home = installation.home;
          it.plain.gateway = installation.env.EVENTS_LISTEN_PLAIN;
          Object.assign(installation.admin, admin);
          const peers = [...PROGRAMS.filter((name) => name !== 'grid'), 'gateway-2', 'gateway-3'];
          installation.env.EVENTS_PEERS = peers.map((name) => `${name.replace(/-\d$/, '')}=${installation.admin[name]}`).join(',');
          installation.programs = { 'gateway-2': own('gateway-2', ports[4]), 'gateway-3': own('gateway-3', ports[5]) };
        },
      });
      for (const name of it.names.slice(1)) {
        mkdirSync(path.join(it.home, name), { mode: 0o700 });
        for (const file of SHARED) symlinkSync(path.join(it.home, file), path.join(it.home, name, file));
      }
      await Promise.all(it.names.slice(1).map((name) => it.installation.run(name)));
      it.haproxy = await Haproxy.start(it.names.map((name) => it.plain[name]));
      return it;
    } catch (error) {
      await it.stop().catch(() => {});
      throw error;
    }
  }

  /** A client of the demo user at one of the gateways, or (no name) at the balancer. */
  client(name) {
    const url = name ? `http://${this.plain[name]}` : this.haproxy.url;
    return new Client(url, { username: 'demo', password: this.installation.password }).login();
  }

  /** SIGTERM, and again. How long the end took, in milliseconds. */
  async restart(name) {
    const child = this.installation.children.get(name), from = performance.now();
    child.kill('SIGTERM');
    const { code, signal } = await child.exited;
    if (code !== 0) throw new Error(`${name} ended with ${signal ?? code}`);
    const took = performance.now() - from;
    await this.installation.run(name);
    return took;
  }

  async stop() {
    try {
      await this.installation?.stop();
    } finally {
      await Promise.all([this.haproxy, this.rabbitmq, this.postgres].map((server) => server?.stop()));
    }
  }
}
