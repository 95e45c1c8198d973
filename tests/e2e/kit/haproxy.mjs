// A TCP balancer in front of several addresses, as one stands in front of several gateways. Debian's package haproxy has
// the program.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePorts } from './installation.mjs';
import { eventually } from './wait.mjs';

export class Haproxy {
  folder = mkdtempSync(path.join(tmpdir(), 'events-haproxy-'));

  /** addresses: host:port each. One that refuses a connection is left alone until it takes one again. */
  static async start(addresses) {
    const it = new Haproxy();
    const [port] = await freePorts(1);
    it.url = `http://127.0.0.1:${port}`;
    const config = path.join(it.folder, 'haproxy.cfg');
    writeFileSync(config, `
global
    maxconn 9000
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
    retries 6
    option redispatch 1
listen gateways
    bind 127.0.0.1:${port}
    balance leastconn
    default-server check inter 200ms fall 1 rise 1 observe layer4 error-limit 1 on-error mark-down
${addresses.map((address, i) => `    server gateway-${i + 1} ${address}`).join('\n')}
`);
    const log = openSync(path.join(it.folder, 'log'), 'a');
    it.server = spawn('/usr/sbin/haproxy', ['-db', '-f', config], { stdio: ['ignore', log, log] });
    it.gone = once(it.server, 'exit');
    await eventually('haproxy', () => new Promise((done, fail) => {
      const socket = net.connect(port, '127.0.0.1', () => (socket.destroy(), done(true)));
      socket.on('error', fail);
    }));
    return it;
  }

  async stop() {
    if (this.server.exitCode === null && !this.server.signalCode) {
      this.server.kill('SIGKILL');
      await this.gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
