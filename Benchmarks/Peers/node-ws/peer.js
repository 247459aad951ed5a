#!/usr/bin/env node
// ws on Node: messages arrive as events on the only thread.
//
//   hose, deflate, send, echo, cycles, idle   --api events
'use strict';

const fs = require('fs');
const WebSocket = require('ws');

const [workload, ...rest] = process.argv.slice(2);
const options = { url: '', size: 16, count: 1000, kind: 'binary', warmup: 0, api: 'events' };
for (let i = 0; i + 1 < rest.length; i += 2) {
  const name = rest[i].slice(2);
  options[name] = typeof options[name] === 'number' ? Number(rest[i + 1]) : rest[i + 1];
}

function statusNumber(name) {
  const line = fs.readFileSync('/proc/self/status', 'utf8').split('\n').find((line) => line.startsWith(name + ':'));
  return parseInt(line.slice(name.length + 1), 10);
}

const now = () => Number(process.hrtime.bigint());
const seconds = (begin) => (now() - begin) / 1e9;

function connect(path) {
  return new WebSocket(options.url + path, { perMessageDeflate: workload === 'deflate', maxPayload: 0 });
}

function once(socket, event) {
  return new Promise((resolve, reject) => {
    socket.once(event, (...values) => resolve(values));
    socket.once('error', reject);
  });
}

async function close(socket) {
  socket.close(1000);
  await once(socket, 'close');
}

function payload() {
  const message = Buffer.alloc(options.size, 'x');
  message[options.size - 1] = 'a'.charCodeAt(0);
  return message;
}

function hose(count) {
  const deflate = workload === 'deflate';
  const text = deflate || options.kind === 'text';
  const socket = connect(`/hose?size=${options.size}&count=${count}&kind=${text ? 'text' : 'binary'}${deflate ? '&deflate=1' : ''}`);
  return new Promise((resolve, reject) => {
    let begin, messages = 0, bytes = 0, checksum = 0;
    socket.once('open', () => { begin = now(); });
    socket.once('error', reject);
    socket.on('message', (data) => {
      let last;
      if (text) {
        const string = data.toString();
        bytes += string.length;
        last = string.charCodeAt(string.length - 1);
      } else {
        bytes += data.length;
        last = data[data.length - 1];
      }
      checksum = (Math.imul(checksum, 31) + last) >>> 0;
      if (++messages === count) {
        const run = { messages, bytes, checksum, seconds: seconds(begin) };
        close(socket).then(() => resolve(run), reject);
      }
    });
  });
}

// Sends in batches that the write buffer holds, and goes on when they are written.
async function send(count) {
  const highWatermark = 1024 * 1024;
  const socket = connect('/sink');
  await once(socket, 'open');
  const message = payload();
  const begin = now();
  for (let sent = 0; sent < count;) {
    while (sent < count - 1 && socket.bufferedAmount < highWatermark) {
      socket.send(message);
      sent++;
    }
    await new Promise((resolve, reject) => socket.send(message, (error) => (error ? reject(error) : resolve())));
    sent++;
  }
  socket.send('report');
  const [data] = await once(socket, 'message');
  const run = { seconds: seconds(begin), ...JSON.parse(data.toString()) };
  await close(socket);
  return run;
}

function takeSamples(samples) {
  samples.sort((left, right) => left - right);
  const percentile = (share) => samples[Math.max(0, Math.ceil(share * samples.length) - 1)] / 1e3;
  return { p50_us: percentile(0.5), p99_us: percentile(0.99), p999_us: percentile(0.999) };
}

async function echo(count) {
  const socket = connect('/echo');
  await once(socket, 'open');
  const message = payload();
  const samples = new Float64Array(count);
  let trips = 0, start, begin = now();
  const trip = () => { start = now(); socket.send(message); };
  const run = await new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.on('message', (data) => {
      const sample = now() - start;
      if (!message.equals(data)) return reject(new Error('the echo is not what was sent'));
      if (trips >= options.warmup) samples[trips - options.warmup] = sample;
      if (++trips === options.warmup) begin = now();
      if (trips < options.warmup + count) return trip();
      resolve({ messages: count, bytes: count * options.size, seconds: seconds(begin) });
    });
    trip();
  });
  await close(socket);
  return { ...run, ...takeSamples(samples) };
}

async function cycles(count) {
  const begin = now();
  for (let i = 0; i < count; i++) {
    const socket = connect('/idle');
    await once(socket, 'open');
    await close(socket);
  }
  return { messages: count, bytes: 0, seconds: seconds(begin) };
}

async function idle(count) {
  const sockets = [];
  const open = async () => {
    const socket = connect('/idle');
    sockets.push(socket);
    await once(socket, 'open');
  };
  await open();
  const before = statusNumber('VmRSS');
  const begin = now();
  for (let i = 0; i < count; i++) await open();
  const run = { messages: count, bytes: 0, seconds: seconds(begin) };
  await new Promise((resolve) => setTimeout(resolve, 500));
  run.kib_per_connection = (statusNumber('VmRSS') - before) / count;
  run.threads_open = statusNumber('Threads');
  for (const socket of sockets) socket.terminate();
  return run;
}

async function main() {
  const body = { hose, deflate: hose, send, echo, cycles, idle }[workload];
  if (!body) throw new Error('unknown workload');
  if (options.warmup && workload !== 'echo' && workload !== 'idle') await body(options.warmup);
  const run = await body(options.count);
  const version = `${require('ws/package.json').version}, Node ${process.version}`;
  const result = { peer: 'node-ws', api: options.api, workload, version, ...run };
  console.log(JSON.stringify({ ...result, resident_kib: statusNumber('VmRSS'), threads: statusNumber('Threads') }));
}

main().catch((error) => {
  console.error('node-ws:', error.message);
  process.exit(1);
});
