// The servers that ours is measured against, each on a free port, with one thread, answering 200 bytes. A peer that is
// not installed, or does not start, is a note and not an error.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { userInfo } from 'node:os';
import path from 'node:path';
import { BUILD, ROOT } from '../tests/e2e/kit/installation.mjs';
import { eventually, sleep } from '../tests/e2e/kit/wait.mjs';

export function installed(program) {
  return `${process.env.PATH}:/usr/sbin`.split(':').some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((s) => once(s, 'listening')));
  const ports = servers.map((s) => s.address().port);
  await Promise.all(servers.map((s) => new Promise((done) => s.close(done))));
  return ports;
}

function answers(port) {
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => (socket.destroy(), done(true)));
    socket.on('error', () => done(false));
  });
}

class Peer {
  constructor(name, child, ports) {
    Object.assign(this, { name, child, pid: child.pid, ports });
  }
  stop() {
    this.child.kill('SIGKILL');
  }
}

export async function start(name, command, ports) {
  const child = spawn(command[0], command.slice(1), { stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
  child.on('error', () => {});
  const peer = new Peer(name, child, ports);
  try {
    await eventually(`${name} listens`, async () => {
      if (child.exitCode !== null) throw new Error('it has ended');
      return (await Promise.all(ports.map(answers))).every(Boolean);
    }, 10000);
  } catch (error) {
    peer.stop();
    throw error;
  }
  await sleep(100);
  return peer;
}

const H2O = (o) => `user: ${userInfo().username}
num-threads: 1
max-connections: 1024
hosts:
  default:
    paths:
      /: {file.dir: ${o.www}}
listen: {host: 127.0.0.1, port: ${o.plain}}
listen: {host: 127.0.0.1, port: ${o.tls}, ssl: {certificate-file: ${o.certificate}, key-file: ${o.key}, minimum-version: TLSv1.3}}
`;

const NGINX = (o) => `daemon off; master_process off; worker_processes 1; pid ${o.folder}/nginx.pid; error_log ${o.folder}/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path ${o.folder}/body; http2_max_concurrent_streams 128;
  proxy_temp_path ${o.folder}/proxy; fastcgi_temp_path ${o.folder}/fcgi; uwsgi_temp_path ${o.folder}/uwsgi; scgi_temp_path ${o.folder}/scgi;
  server {
    listen 127.0.0.1:${o.plain} http2; listen 127.0.0.1:${o.h1}; listen 127.0.0.1:${o.tls} ssl http2;
    ssl_certificate ${o.certificate}; ssl_certificate_key ${o.key}; ssl_protocols TLSv1.3;
    location / { return 200 "${'x'.repeat(200)}"; }
  }
}
`;

/** gRPC C++ is built here, once. */
function buildHealth() {
  const folder = path.join(ROOT, 'build/bench-peers'), program = path.join(folder, 'health');
  const source = path.join(ROOT, 'bench/peers');
  if (existsSync(program) && statSync(program).mtimeMs > statSync(path.join(source, 'health.cc')).mtimeMs) return program;
  mkdirSync(folder, { recursive: true });
  const plugin = execFileSync('sh', ['-c', 'command -v grpc_cpp_plugin'], { encoding: 'utf8' }).trim();
  const run = (...command) => execFileSync(command[0], command.slice(1), { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  run('protoc', `-I${source}`, '--cpp_out=.', '--grpc_out=.', `--plugin=protoc-gen-grpc=${plugin}`, path.join(source, 'health.proto'));
  const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'grpc++', 'protobuf'], { encoding: 'utf8' }).trim().split(/\s+/);
  run('g++', '-O2', '-std=c++17', '-I.', '-o', program, path.join(source, 'health.cc'), 'health.pb.cc', 'health.grpc.pb.cc', ...flags, '-lgrpc++');
  return program;
}

const KINDS = {
  async nghttpd({ www, certificate, key }) {
    const ports = await freePorts(2);
    const common = ['-n1', '-d', www, '-a', '127.0.0.1'];
    const plain = await start('nghttpd', ['nghttpd', '--no-tls', ...common, String(ports[0])], [ports[0]]);
    const tls = await start('nghttpd (TLS)', ['nghttpd', ...common, String(ports[1]), key, certificate], [ports[1]]);
    return { plain: { peer: plain, port: ports[0] }, tls: { peer: tls, port: ports[1] }, peers: [plain, tls] };
  },
  async h2o({ folder, www, certificate, key }) {
    const [plain, tls] = await freePorts(2), file = path.join(folder, 'h2o.conf');
    writeFileSync(file, H2O({ www, plain, tls, certificate, key }));
    const peer = await start('h2o', ['h2o', '-c', file], [plain, tls]);
    return { plain: { peer, port: plain }, tls: { peer, port: tls }, h1: { peer, port: plain }, peers: [peer] };
  },
  async nginx({ folder, certificate, key }) {
    const [plain, tls, h1] = await freePorts(3), file = path.join(folder, 'nginx.conf');
    writeFileSync(file, NGINX({ folder, plain, tls, h1, certificate, key }));
    const peer = await start('nginx', ['nginx', '-c', file, '-p', folder], [plain, tls, h1]);
    return { plain: { peer, port: plain }, tls: { peer, port: tls }, h1: { peer, port: h1 }, peers: [peer] };
  },
  async 'grpc-c++'() {
    const [plain] = await freePorts(1);
    const peer = await start('grpc-c++', [buildHealth(), String(plain)], [plain]);
    return { plain: { peer, port: plain }, peers: [peer] };
  },
};

/** { name: { plain, tls, h1: { peer, port } } } of those that are there; the others in `notes`. */
export async function startPeers(folder, certificate, key) {
  const www = path.join(folder, 'www'), peers = {}, notes = [];
  mkdirSync(www, { recursive: true });
  writeFileSync(path.join(www, 'bytes'), 'x'.repeat(200));
  for (const name of Object.keys(KINDS)) {
    try {
      if (!installed(name === 'grpc-c++' ? 'grpc_cpp_plugin' : name)) throw new Error('it is not installed');
      peers[name] = await KINDS[name]({ folder, www, certificate, key });
    } catch (error) {
      notes.push(`${name} is left out: ${error.message.split('\n')[0]}`);
    }
  }
  return { peers, notes, stop: () => Object.values(peers).forEach((p) => p.peers.forEach((one) => one.stop())) };
}
