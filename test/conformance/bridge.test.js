// SPDX-License-Identifier: Apache-2.0
// `weir bridge`: channels of a running NATS Streaming server, copied into a running Weir. The old server is another Weir, or a stand-in
// that knows nothing of Weir; what was copied is read by unmodified clients.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const crypto = require('crypto')
const fs = require('fs')
const nats = require('nats')
const os = require('os')
const path = require('path')
const { test, run } = require('./lib/tap')
const { Certificates } = require('./lib/certificates')
const { OldServer } = require('./lib/old_server')
const { Server, program } = require('./lib/server')
const { StanClient, START, message, pb } = require('./lib/stan')
const { connect, subscribe } = require('./lib/stan_client')
const { until, within, unique } = require('./lib/wait')

const running = new Set()
process.on('exit', () => { for (const bridge of running) bridge.child.kill('SIGKILL') })

/** A running `weir bridge`. */
class Bridge {
  constructor (t, args, [file, ...before] = [program]) {
    this.out = ''
    this.err = ''
    this.child = spawn(file, [...before, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(this)
    this.child.stdout.on('data', (text) => { this.out += text })
    this.child.stderr.on('data', (text) => { this.err += text })
    this.ended = new Promise((resolve) => this.child.once('close', (code, signal) => {
      running.delete(this)
      resolve({ status: code, signal, out: this.out, err: this.err })
    }))
    t.after(() => this.kill())
  }

  end (ms = 30000) { return within(this.ended, `the end of weir bridge, which says\n${this.out}${this.err}`, ms) }

  kill (signal = 'SIGKILL') {
    if (running.has(this)) this.child.kill(signal)
    return this.end()
  }
}

const bridge = (t, ...args) => new Bridge(t, ['bridge', ...args])
const between = (old, weir) => ['--from', old.url, '--from_cluster', 'old', '--to', weir.url, '--to_cluster', 'new', '--idle', '2s']

/** Runs it to its end: { status, out, err }. */
const once = (t, old, weir, ...args) => bridge(t, ...between(old, weir), '--once', ...args).end()

async function start (t, flags, options = {}) {
  const server = await Server.start(flags, options)
  t.after(() => server.stop())
  return server
}

const startOld = (t, flags = [], options) => start(t, ['-cid', 'old', ...flags], options)
const startNew = (t, flags = [], options) => start(t, ['-cid', 'new', ...flags], options)

/** Requests of NATS Streaming to a server of that cluster id. */
async function client (t, server, cluster) {
  const one = await StanClient.open(server)
  one.discover = `_STAN.discover.${cluster}`
  one.id = unique('client')
  one.connId = Buffer.from(one.id)
  const inbox = nats.createInbox()
  one.nc.subscribe(inbox, { callback: (error, heartbeat) => { if (!error) heartbeat.respond() } })
  const request = message('ConnectRequest', { clientId: one.id, heartbeatInbox: inbox, protocol: 1, connId: one.connId })
  // Behind another NATS server a server may be ready a little before it is heard there.
  await until(() => one.request(one.discover, request).then((answer) => { one.response = pb.ConnectResponse.deserializeBinary(answer); return true },
    (error) => { if (error.code !== '503') throw error }), `a server of cluster ${cluster}`)
  assert.strictEqual(one.response.getError(), '')
  one.prefix = one.response.getPubPrefix()
  t.after(() => one.leave())
  return one
}

/** The last `[first, last]` of a channel, [1, 0] without one. Field 100 asks for it. */
async function extent (one, channel) {
  const request = message('SubscriptionRequest', { clientId: one.id, subject: channel, inbox: '_INBOX.none', maxInFlight: 1, ackWaitInSecs: 1 })
  const answer = Buffer.from(await one.request(one.response.getSubRequests(), Buffer.concat([request, Buffer.from([0xa0, 6, 1])])))
  const number = (field) => {
    const at = answer.indexOf(Buffer.from([field, 6]))
    let value = 0
    for (let i = at + 2, scale = 1; at >= 0; i++, scale *= 128) {
      value += (answer[i] & 127) * scale
      if (answer[i] < 128) break
    }
    return value
  }
  return [number(0xa8), number(0xb0)]
}

const lastOf = async (one, channel) => (await extent(one, channel))[1]

/** Everything in a channel, from the first message on: { sequence, bytes, time, reply, fields } with its NATS headers. */
async function everything (one, channel) {
  const [first, last] = await extent(one, channel)
  const got = []
  const inbox = nats.createInbox()
  one.nc.subscribe(inbox, {
    callback: (error, raw) => {
      const proto = pb.MsgProto.deserializeBinary(raw.data)
      if (error) throw error
      got.push({
        sequence: proto.getSequence(),
        bytes: Buffer.from(proto.getData_asU8()),
        reply: proto.getReply(),
        time: proto.getTimestamp(),
        fields: raw.headers ? Object.fromEntries([...raw.headers.keys()].map((name) => [name, raw.headers.get(name)])) : {}
      })
    }
  })
  const request = message('SubscriptionRequest', { clientId: one.id, subject: channel, inbox, maxInFlight: 1000000, ackWaitInSecs: 3600, startPosition: START.FIRST })
  assert.strictEqual(pb.SubscriptionResponse.deserializeBinary(await one.request(one.response.getSubRequests(), request)).getError(), '')
  await until(() => got.length >= last - first + 1, `${last - first + 1} messages of ${channel}, of which came ${got.length}`, 30000)
  return got
}

/** Stores what `data(i)` gives, in order, many at a time. */
async function fill (one, channel, count, data = (i) => `${channel}-${i}`) {
  for (let from = 1; from <= count; from += 500) {
    await one.store(channel, ...Array.from({ length: Math.min(500, count - from + 1) }, (_, i) => data(from + i)))
  }
}

const texts = (got) => got.map((one) => one.bytes.toString())
const numbered = (channel, from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${channel}-${from + i}`)
const nanoseconds = (text) => BigInt(Date.parse(text.replace(/\.\d+Z$/, 'Z'))) * 1000000n + BigInt((/\.(\d+)Z$/.exec(text) || [0, '0'])[1].padEnd(9, '0'))

for (const store of ['file', 'memory']) {
  test(`IM-25 everything comes over in order and byte by byte, with its old numbers and times (${store} store)`, async (t) => {
    const [old, weir] = await Promise.all([startOld(t, ['-st', store]), startNew(t)])
    const from = await client(t, old, 'old')
    const payloads = [Buffer.alloc(0), Buffer.from([0, 13, 10, 255]), crypto.randomBytes(200000), Buffer.from('{"a":1}')]
    for (const data of payloads) await from.publish('bytes', data, { reply: 'somebody.else' })
    await fill(from, 'jobs', 3000)
    const headers = nats.headers()
    headers.set('Trace', '7')
    const request = message('PubMsg', { clientId: from.id, connId: from.connId, guid: 'g', subject: 'jobs', data: Buffer.from('jobs-3001') })
    await from.nc.request(`${from.prefix}.jobs`, request, { timeout: 15000, headers })
    const { status, out, err } = await once(t, old, weir, 'jobs', 'bytes', 'empty.one')
    assert.strictEqual(status, 0, err)
    const bytesOf = (list) => list.reduce((sum, one) => sum + Buffer.byteLength(one), 0)
    assert.match(out, new RegExp(`^ {2}jobs: 3001 messages with ${bytesOf(numbered('jobs', 1, 3001))} bytes$`, 'm'))
    assert.match(out, /^ {2}empty\.one: 0 messages with 0 bytes$/m)
    assert.match(out, /^Copied 3005 messages with \d+ bytes from cluster old to cluster new, in 3 channels$/m)
    const to = await client(t, weir, 'new')
    const there = await everything(from, 'jobs')
    const here = await everything(to, 'jobs')
    assert.deepStrictEqual(texts(here), numbered('jobs', 1, 3001))
    for (const [i, one] of here.entries()) {
      assert.strictEqual(one.fields['Weir-Bridge-Cluster'], 'old')
      assert.strictEqual(one.fields['Weir-Bridge-Sequence'], String(there[i].sequence))
      // A double has no more than microseconds.
      assert.ok(Math.abs(Number(nanoseconds(one.fields['Weir-Bridge-Time']) - BigInt(there[i].time))) < 1000, `time of ${i}`)
    }
    assert.deepStrictEqual(here[0].fields.Trace, undefined)
    assert.strictEqual(here[3000].fields.Trace, '7')
    const bytes = await everything(to, 'bytes')
    assert.ok(bytes.every((one, i) => one.bytes.equals(payloads[i]) && one.reply === 'somebody.else'))
    // An unmodified client reads it.
    const reader = await connect(t, weir, { cluster: 'new' })
    const got = await (await subscribe(reader, 'jobs', { durable: 'd', all: true })).queue.take(3001)
    assert.deepStrictEqual(got.map((one) => [one.sequence, one.data]), numbered('jobs', 1, 3001).map((data, i) => [i + 1, data]))
    // And again: nothing is there twice.
    const again = await once(t, old, weir, 'jobs', 'bytes')
    assert.strictEqual(again.status, 0, again.err)
    assert.match(again.out, /^Copied 0 messages/m)
    assert.strictEqual(await lastOf(to, 'jobs'), 3001)
  })
}

test('IM-25 what is published meanwhile follows; a signal ends it in order, and its durable stays', async (t) => {
  const [old, weir] = await Promise.all([startOld(t, [], { http: true }), startNew(t)])
  const [from, to] = await Promise.all([client(t, old, 'old'), client(t, weir, 'new')])
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const following = bridge(t, ...between(old, weir), '--follow', 'jobs')
    const before = await lastOf(from, 'jobs')
    for (let i = 1; i <= 10; i++) {
      await from.store('jobs', `jobs-${before + i}`)
      await until(async () => await lastOf(to, 'jobs') === before + i, `message ${i} is copied`)
    }
    const { status, out, err } = await following.kill(signal)
    assert.strictEqual(status, 0, err)
    assert.match(out, /^Copied 10 messages/m)
    const { subscriptions } = await old.page('/streaming/channelsz?channel=jobs&subs=1')
    assert.deepStrictEqual(subscriptions.map((one) => [one.durable_name, one.is_offline, one.pending_count, one.last_sent]), [['weir-bridge', true, 0, before + 10]])
  }
  assert.deepStrictEqual(texts(await everything(to, 'jobs')), numbered('jobs', 1, 20))
})

test('IM-25 killed again and again in the middle, it loses nothing and copies nothing twice', { seconds: 100 }, async (t) => {
  const [old, weir] = await Promise.all([startOld(t), startNew(t)])
  const [from, to] = await Promise.all([client(t, old, 'old'), client(t, weir, 'new')])
  await fill(from, 'a', 1500)
  await fill(from, 'b', 1500)
  const publishing = (async () => { for (let i = 1501; i <= 1550; i++) await from.store('a', `a-${i}`) })()
  let killed = 0
  for (let round = 1; round <= 5; round++) {
    const before = await lastOf(to, 'a') + await lastOf(to, 'b')
    const one = bridge(t, ...between(old, weir), '--window', String([2, 7, 32, 5, 16][round - 1]), 'a', 'b')
    await until(async () => await lastOf(to, 'a') + await lastOf(to, 'b') >= before + 40 * round, 'some are copied', 30000)
    const { signal } = await one.kill()
    killed += signal === 'SIGKILL'
  }
  assert.strictEqual(killed, 5)
  await publishing
  const { status, err } = await once(t, old, weir, 'a', 'b')
  assert.strictEqual(status, 0, err)
  assert.deepStrictEqual(texts(await everything(to, 'a')), numbered('a', 1, 1550))
  assert.deepStrictEqual(texts(await everything(to, 'b')), numbered('b', 1, 1500))
})

test('IM-25 both servers may be killed and come back', { seconds: 100 }, async (t) => {
  const [old, weir] = await Promise.all([startOld(t), startNew(t)])
  const following = bridge(t, ...between(old, weir), '--window', '20', 'jobs')
  let count = 0
  for (const [round, server] of [old, weir, old, weir].entries()) {
    const from = await client(t, old, 'old')
    await fill(from, 'jobs', 400, (i) => `jobs-${count + i}`)
    count += 400
    const to = await client(t, weir, 'new')
    await until(async () => await lastOf(to, 'jobs') > count - 300, `round ${round} is under way`)
    await server.restart(round < 2 ? 'SIGKILL' : 'SIGTERM')
  }
  const to = await client(t, weir, 'new')
  await until(async () => await lastOf(to, 'jobs') >= count, 'all are copied', 30000)
  assert.deepStrictEqual(texts(await everything(to, 'jobs')), numbered('jobs', 1, count))
  const { status, err } = await following.kill('SIGTERM')
  assert.strictEqual(status, 0, err)
  assert.match(err, /the old server is lost/)
  assert.match(err, /the new server is lost/)
  assert.match(err, /the new server is there again/)
})

test('IM-25 a server without a store that was restarted counts anew, and is copied anew', { seconds: 100 }, async (t) => {
  const [old, weir] = await Promise.all([startOld(t, ['-st', 'memory']), startNew(t)])
  const to = await client(t, weir, 'new')
  await fill(await client(t, old, 'old'), 'jobs', 10)
  const first = await once(t, old, weir, 'jobs')
  assert.strictEqual(first.status, 0, first.err)
  await old.restart()
  await fill(await client(t, old, 'old'), 'jobs', 4, (i) => `again-${i}`)
  const following = bridge(t, ...between(old, weir), 'jobs')
  await until(async () => await lastOf(to, 'jobs') >= 14, 'the second ones are copied')
  // And while it runs.
  await old.restart()
  await fill(await client(t, old, 'old'), 'jobs', 20, (i) => `third-${i}`)
  await until(async () => await lastOf(to, 'jobs') >= 34, 'the third ones are copied')
  await following.kill()
  const last = await once(t, old, weir, 'jobs')
  assert.strictEqual(last.status, 0, last.err)
  const here = await everything(to, 'jobs')
  assert.deepStrictEqual(texts(here), [...numbered('jobs', 1, 10), ...numbered('again', 1, 4), ...numbered('third', 1, 20)])
  assert.deepStrictEqual([here[9], here[13], here[33]].map((one) => one.fields['Weir-Bridge-Epoch']), [undefined, '1', '2'])
})

test('IM-25 a server that knows nothing of Weir; what gets lost on its way is sent again, in order', async (t) => {
  const [old, weir] = await Promise.all([OldServer.start(t), startNew(t)])
  const from = await client(t, old, 'old')
  await fill(from, 'jobs', 600)
  let lost = 0
  old.loses = (sub, one) => {
    if (one.seq % 97 !== 0 || one.wasLost || sub.durable === '') return false
    lost++
    one.wasLost = true
    return true
  }
  const { status, out, err } = await once(t, old, weir, '--window', '16', 'jobs', 'nothing')
  assert.strictEqual(status, 0, err)
  assert.strictEqual(lost, 6)
  assert.match(out, /^ {2}jobs: 600 messages/m)
  const to = await client(t, weir, 'new')
  assert.deepStrictEqual(texts(await everything(to, 'jobs')), numbered('jobs', 1, 600))
  assert.ok(old.subs.every((one) => one.isClosed && one.pending.size === 0))
  assert.deepStrictEqual(old.subs.map((one) => [one.channel, one.durable]).sort(), [['jobs', 'weir-bridge'], ['nothing', 'weir-bridge']])
})

test('IM-25 messages that limits took away are no reason to stop', async (t) => {
  const [old, weir] = await Promise.all([startOld(t, ['-mm', '50']), startNew(t)])
  await fill(await client(t, old, 'old'), 'jobs', 80)
  const { status, err } = await once(t, old, weir, 'jobs')
  assert.strictEqual(status, 0, err)
  assert.deepStrictEqual(texts(await everything(await client(t, weir, 'new'), 'jobs')), numbered('jobs', 31, 80))
})

test('IM-25 publishers that have moved already are in nobody\'s way', async (t) => {
  const [old, weir] = await Promise.all([startOld(t), startNew(t)])
  const [from, to] = await Promise.all([client(t, old, 'old'), client(t, weir, 'new')])
  await fill(from, 'jobs', 10)
  assert.strictEqual((await once(t, old, weir, 'jobs')).status, 0)
  // More than is read at a time.
  await fill(to, 'jobs', 5000, (i) => `moved-${i}`)
  await from.store('jobs', 'jobs-11')
  const { status, out, err } = await once(t, old, weir, 'jobs', '--durable', 'another')
  assert.strictEqual(status, 0, err)
  assert.match(out, /^Copied 1 messages .* 10 were there already$/m)
  assert.deepStrictEqual(texts(await everything(to, 'jobs')), [...numbered('jobs', 1, 10), ...numbered('moved', 1, 5000), 'jobs-11'])
})

test('IM-25 a channel that is refused stops everything, or only itself', async (t) => {
  const [old, weir] = await Promise.all([startOld(t, ['--max_payload', '2MB']), startNew(t, ['-mc', '2'])])
  const from = await client(t, old, 'old')
  await fill(from, 'large', 3)
  await from.store('large', Buffer.alloc(1500000))
  await from.store('large', 'behind')
  for (const channel of ['one', 'two']) await fill(from, channel, 5)
  const stopped = await once(t, old, weir, 'large')
  assert.strictEqual(stopped.status, 1)
  assert.match(stopped.err, /weir bridge: channel large: message 4: the message is larger than the server's max_payload/)
  assert.match(stopped.out, /^ {2}large: given up after 3 messages/m)
  const went = await once(t, old, weir, '--keep-going', 'large', 'one', 'two')
  assert.strictEqual(went.status, 1)
  assert.match(went.err, /channel large: message 4/)
  assert.match(went.err, /channel two: the new server refuses: too many channels/)
  assert.match(went.out, /^ {2}one: 5 messages/m)
  assert.match(went.out, /; 2 channels were given up$/m)
  const to = await client(t, weir, 'new')
  assert.deepStrictEqual(texts(await everything(to, 'one')), numbered('one', 1, 5))
  assert.deepStrictEqual(texts(await everything(to, 'large')), numbered('large', 1, 3))
  // As soon as nothing is in the way, it goes on there.
  weir.flags = ['-cid', 'new', '--max_payload', '2MB']
  await weir.restart('SIGTERM')
  const last = await once(t, old, weir, 'large', 'one', 'two')
  assert.strictEqual(last.status, 0, last.err)
  const again = await client(t, weir, 'new')
  assert.deepStrictEqual((await everything(again, 'large')).map((one) => one.bytes.length), [7, 7, 7, 1500000, 6])
  assert.deepStrictEqual(texts(await everything(again, 'two')), numbered('two', 1, 5))
})

test('IM-25 channels are found by monitoring, also those that come later', async (t) => {
  const [old, weir] = await Promise.all([startOld(t, [], { http: true }), startNew(t)])
  const [from, to] = await Promise.all([client(t, old, 'old'), client(t, weir, 'new')])
  const monitoring = ['--channels_from_monitoring', `http://127.0.0.1:${old.httpPort}`]
  const nothing = await once(t, old, weir, ...monitoring)
  assert.strictEqual(nothing.status, 0, nothing.err)
  for (const channel of ['one', 'two, with a comma'.replace(/ /g, '_')]) await fill(from, channel, 3)
  const found = await once(t, old, weir, ...monitoring)
  assert.strictEqual(found.status, 0, found.err)
  assert.match(found.out, /^Copied 6 messages .* in 2 channels/m)
  bridge(t, ...between(old, weir), ...monitoring)
  await fill(from, 'three', 3)
  await until(async () => await lastOf(to, 'three') === 3, 'the new channel is copied', 30000)
})

test('IM-25 --dry-run says what there is, and changes nothing anywhere', async (t) => {
  const [old, weir] = await Promise.all([startOld(t, [], { http: true }), startNew(t, [], { http: true })])
  const from = await client(t, old, 'old')
  await fill(from, 'jobs', 12)
  const dry = () => bridge(t, ...between(old, weir), '--dry-run', 'jobs').end()
  const first = await dry()
  assert.strictEqual(first.status, 0, first.err)
  assert.match(first.out, /^ {2}jobs: message 12 is the last, copied up to 0$/m)
  assert.doesNotMatch(first.out, /Copied/)
  assert.deepStrictEqual((await weir.page('/streaming/channelsz')).names || [], [])
  assert.strictEqual((await old.page('/streaming/channelsz?channel=jobs&subs=1')).subs_count || 0, 0)
  assert.strictEqual((await once(t, old, weir, 'jobs')).status, 0)
  await fill(from, 'jobs', 3, (i) => `jobs-${12 + i}`)
  assert.match((await dry()).out, /^ {2}jobs: message 15 is the last, copied up to 12$/m)
})

test('IM-25 --once says when a durable has had what is not there', async (t) => {
  const [old, weir, another] = await Promise.all([startOld(t), startNew(t), startNew(t)])
  await fill(await client(t, old, 'old'), 'jobs', 5)
  assert.strictEqual((await once(t, old, weir, 'jobs')).status, 0)
  const { status, err } = await once(t, old, another, 'jobs')
  assert.strictEqual(status, 1)
  assert.match(err, /channel jobs: the old server has messages up to 5 and sends none: durable weir-bridge has had them/)
  assert.strictEqual((await once(t, old, another, '--durable', 'other', 'jobs')).status, 0)
})

test('IM-25 one at a time: a second one is refused while the first one lives', { alone: true }, async (t) => {
  const [old, weir] = await Promise.all([startOld(t), startNew(t)])
  const [from, to] = await Promise.all([client(t, old, 'old'), client(t, weir, 'new')])
  await fill(from, 'jobs', 1)
  bridge(t, ...between(old, weir), 'jobs')
  await until(async () => await lastOf(to, 'jobs') === 1, 'the first one copies')
  const { status, err } = await once(t, old, weir, 'jobs')
  assert.strictEqual(status, 1)
  assert.match(err, /the old server, --from nats:\/\/127\.0\.0\.1:\d+ \(cluster id old\): the server refuses the client: stan: clientID already registered/)
})

test('IM-25 one that was put to sleep and replaced is shut out when it wakes up', { alone: true, seconds: 100 }, async (t) => {
  const [old, weir] = await Promise.all([startOld(t), startNew(t)])
  const [from, to] = await Promise.all([client(t, old, 'old'), client(t, weir, 'new')])
  const first = bridge(t, ...between(old, weir), 'jobs')
  await fill(from, 'jobs', 10)
  await until(async () => await lastOf(to, 'jobs') === 10, 'the first one copies')
  first.child.kill('SIGSTOP')
  // These wait at its door.
  await fill(from, 'jobs', 100, (i) => `jobs-${10 + i}`)
  const second = bridge(t, ...between(old, weir), 'jobs')
  await until(async () => await lastOf(to, 'jobs') >= 110, 'the second one copies', 30000)
  first.child.kill('SIGCONT')
  const { status, err } = await first.end()
  assert.strictEqual(status, 1)
  assert.match(err, /clientID already registered/)
  await fill(from, 'jobs', 10, (i) => `jobs-${110 + i}`)
  await until(async () => await lastOf(to, 'jobs') >= 120, 'the second one goes on')
  assert.deepStrictEqual(texts(await everything(to, 'jobs')), numbered('jobs', 1, 120))
  assert.strictEqual((await second.kill('SIGTERM')).status, 0)
})

test('IM-25 a channel that is full of what nobody has finished goes on when there is room', { seconds: 100 }, async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-bridge-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  fs.writeFileSync(path.join(directory, 'conf'), 'streaming { store_limits { channels { jobs { max_msgs: 40, discard: new } } } }')
  const [old, weir] = await Promise.all([startOld(t), startNew(t, ['-sc', path.join(directory, 'conf')])])
  const from = await client(t, old, 'old')
  await fill(from, 'jobs', 300)
  const worker = await connect(t, weir, { cluster: 'new' })
  const jobs = await subscribe(worker, 'jobs', { durable: 'd', manual: true, all: true, maxInFlight: 1000, ackWait: 60000 })
  const done = []
  for (let round = 0; done.length < 300; round++) {
    assert.ok(round < 100, `after ${round} rounds ${done.length} have come`)
    const running = once(t, old, weir, '--window', '16', 'jobs')
    // While it runs some are finished, so that what is refused and what is taken lie side by side.
    const taken = await jobs.queue.take(Math.min(40, 300 - done.length))
    for (const one of taken) { done.push(one.data); one.ack() }
    const { status, err } = await running
    for (const one of jobs.queue.items.splice(0)) { done.push(one.data); one.ack() }
    if (status) assert.match(err, /channel jobs: the new server refuses: stan: the channel is full/)
  }
  assert.strictEqual((await once(t, old, weir, 'jobs')).status, 0)
  assert.strictEqual(jobs.queue.length, 0)
  assert.deepStrictEqual([...done].sort(), numbered('jobs', 1, 300).sort())
})

test('IM-25 the new server may stand behind another NATS server, and the old one too', { seconds: 100 }, async (t) => {
  const [one, two] = await Promise.all([start(t, [], { program: '/usr/sbin/nats-server' }), start(t, [], { program: '/usr/sbin/nats-server' })])
  const [old, weir] = await Promise.all([startOld(t, ['-ns', one.url]), startNew(t, ['-ns', two.url])])
  const [from, to] = await Promise.all([client(t, one, 'old'), client(t, two, 'new')])
  await fill(from, 'jobs', 300)
  const following = bridge(t, ...between(one, two), '--window', '16', 'jobs')
  await until(async () => await lastOf(to, 'jobs') >= 20, 'some are copied')
  // Its clients stay connected meanwhile, and what is sent to nobody is lost.
  await Promise.all([old.restart(), weir.restart()])
  const answers = (one) => until(() => lastOf(one, 'jobs').then(() => true, () => false), 'it is there again')
  await Promise.all([answers(from), answers(to)])
  await fill(from, 'jobs', 100, (i) => `jobs-${300 + i}`)
  await until(async () => await lastOf(to, 'jobs') >= 400, 'all are copied', 60000)
  await following.kill()
  const again = await once(t, one, two, 'jobs')
  assert.strictEqual(again.status, 0, again.err)
  assert.deepStrictEqual(texts(await everything(to, 'jobs')), numbered('jobs', 1, 400))
})

test('IM-25 a server is not copied into itself', async (t) => {
  const old = await startOld(t)
  await fill(await client(t, old, 'old'), 'jobs', 5)
  const { status, err } = await bridge(t, '--from', old.url, '--from_cluster', 'old', '--to', old.url.replace('127.0.0.1', 'localhost'), '--once', 'jobs').end()
  assert.strictEqual(status, 1)
  assert.match(err, /--from and --to are the same server/)
  assert.strictEqual(await lastOf(await client(t, old, 'old'), 'jobs'), 5)
})

test('IM-25 users, tokens and TLS on both sides', async (t) => {
  const certificates = new Certificates()
  certificates.authority('authority')
  certificates.sign('server', 'authority')
  const tls = ['--tls', '--tlscert', certificates.path('server.pem'), '--tlskey', certificates.path('server.key')]
  const [old, weir] = await Promise.all([startOld(t, ['--user', 'u', '--pass', 'secret-1']), startNew(t, [...tls, '--auth', 'secret-2'])])
  const from = await StanClient.open(old, { user: 'u', pass: 'secret-1' })
  t.after(() => from.leave())
  const to = ['--to', `nats://127.0.0.1:${weir.port}`, '--to_cluster', 'new', '--idle', '1s', '--dry-run', 'jobs']
  const source = ['--from', old.url, '--from_cluster', 'old', '--from_user', 'u', '--from_password', 'secret-1']
  const good = await bridge(t, ...source, ...to, '--to_token', 'secret-2', '--to_tlscacert', certificates.path('authority.pem')).end()
  assert.strictEqual(good.status, 0, good.err)
  for (const [wrong, pattern] of [
    [[...source, ...to, '--to_token', 'secret-3', '--to_tlsskip'], /\(cluster id new\): .*Authorization Violation/],
    [[...source, ...to, '--to_token', 'secret-2', '--to_tls'], /\(cluster id new\): the TLS handshake failed/],
    [['--from', old.url.replace('//', '//u:secret-9@'), '--from_cluster', 'old', ...to, '--to_token', 'secret-2'], /--from nats:\/\/127\.0\.0\.1:\d+ \(cluster id old\): .*Authorization Violation/]
  ]) {
    const { status, err } = await bridge(t, ...wrong).end()
    assert.strictEqual(status, 1, err)
    assert.match(err, pattern)
    assert.doesNotMatch(err, /secret/)
  }
})

test('IM-25 what is called wrongly, and servers that are none', async (t) => {
  const [old, weir] = await Promise.all([startOld(t, [], { http: true }), startNew(t)])
  const good = between(old, weir)
  const from = good.slice(0, 4)
  const to = good.slice(4, 8)
  const monitoring = (url) => [...good, '--channels_from_monitoring', url]
  const nobody = 'nats://127.0.0.1:1'
  for (const [status, pattern, ...args] of [
    [2, /--from URL and --from_cluster ID are missing/, ...to, 'a'],
    [2, /--to URL is missing/, ...from, 'a'],
    [2, /which channels/, ...good],
    [2, /not both/, ...monitoring('http://127.0.0.1:1'), 'a'],
    [2, /--once or --follow, not both/, ...good, '--once', '--follow', 'a'],
    [2, /"a\.\.b" is no name of a channel/, ...good, 'a..b'],
    [2, /"jobs\.\*" is no name of a channel/, ...good, 'jobs.*'],
    [2, /"a b" is no name of a channel/, ...good, 'a b'],
    [2, /a cluster id has letters/, '--from', old.url, '--from_cluster', 'o.ld', ...to, 'a'],
    [2, /--client_id has letters/, ...good, '--client_id', 'a.b', 'a'],
    [2, /--from is not a server's address/, '--from', 'http://x:s3cret@y', '--from_cluster', 'old', ...to, 'a'],
    [2, /--to is not a server's address/, ...from, '--to', 'nats://', 'a'],
    [2, /the new server: --user and --password go together/, ...good, '--to_user', 'u', 'a'],
    [2, /the old server: --tlscert and --tlskey go together/, ...good, '--from_tlscert', 'x', 'a'],
    [2, /window/, ...good, '--window', '0', 'a'],
    [2, /window/, ...good, '--window', '1025', 'a'],
    [2, /not defined/, ...good, '--wndow', '1', 'a'],
    [2, /it begins with http/, ...monitoring('ftp://x')],
    [2, /no user and no password/, ...monitoring('http://u:s3cret@x:1')],
    [2, /it has no path/, ...monitoring('http://x:1/metrics')],
    [1, /cannot connect/, ...monitoring('http://127.0.0.1:1')],
    [1, /what answers there is no HTTP/, ...monitoring(old.url.replace('nats', 'http'))],
    [1, /the old server, --from nats:\/\/127\.0\.0\.1:1 \(cluster id old\): cannot connect/, '--from', nobody, '--from_cluster', 'old', ...to, 'a'],
    [1, /the new server, --to nats:\/\/127\.0\.0\.1:1 \(cluster id new\): cannot connect/, ...from, '--to', nobody, '--to_cluster', 'new', 'a'],
    [1, /\(cluster id other\): no NATS Streaming server answers to the cluster id: other/, '--from', old.url, '--from_cluster', 'other', ...to, 'a'],
    [1, /\(cluster id old\): no NATS Streaming server answers to the cluster id: old/, ...from, '--to', weir.url, 'a']
  ]) {
    const ended = await bridge(t, ...args).end()
    assert.strictEqual(ended.status, status, `${args.join(' ')}: ${ended.err}`)
    assert.match(ended.err, pattern, args.join(' '))
    assert.doesNotMatch(ended.err, /s3cret/)
  }
})

test('IM-25 a server that is no Weir is no target', async (t) => {
  const [old, target] = await Promise.all([startOld(t), OldServer.start(t, { clusterId: 'new' })])
  const { status, err } = await once(t, old, target, 'jobs')
  assert.strictEqual(status, 1)
  assert.match(err, /the new server, --to: the server is no Weir, or an older one/)
})

test('IM-25 a page that is no list of channels is told, and gets to no file', async (t) => {
  const http = require('http')
  const [old, weir] = await Promise.all([startOld(t), startNew(t)])
  let page
  const server = http.createServer((request, response) => { response.statusCode = page[0]; response.end(page[1]) })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const url = `http://127.0.0.1:${server.address().port}`
  for (const [answer, pattern] of [
    [[404, '{}'], /there is no page/],
    [[200, 'hello {'], /cannot be read/],
    [[200, "include '/etc/passwd'\n"], /cannot be read/],
    [[200, '{"names": [$HOME]}'], /cannot be read/],
    [[200, '{"names": {"a": 1}}'], /has no names/],
    [[200, '{"names": ["a", 5]}'], /a name that is none/],
    [[200, '{}'], /has no names/]
  ]) {
    page = answer
    const { status, err } = await bridge(t, ...between(old, weir), '--once', '--channels_from_monitoring', url).end()
    assert.strictEqual(status, 1, answer[1])
    assert.match(err, pattern)
  }
  page = [200, JSON.stringify({ names: ['a\u0001b', 'x'.repeat(2000), 'fine'], count: 3 })]
  await fill(await client(t, old, 'old'), 'fine', 2)
  const { status, out, err } = await bridge(t, ...between(old, weir), '--once', '--channels_from_monitoring', url).end()
  assert.strictEqual(status, 0, err)
  assert.match(err, /has a name that Weir does not take: left out/)
  assert.match(out, /^Copied 2 messages .* in [12] channels/m)
})

test('IM-25 on a terminal a line says how far it is', async (t) => {
  const [old, weir] = await Promise.all([startOld(t), startNew(t)])
  await fill(await client(t, old, 'old'), 'jobs', 200)
  const args = ['bridge', ...between(old, weir), '--once', '--window', '4', 'jobs'].map((word) => `'${word}'`).join(' ')
  const { out } = await new Bridge(t, [`${program} ${args}`, '/dev/null'], ['script', '-qefc']).end()
  assert.match(out, /\r\x1b\[K1 channels, \d+ messages, [\d.]+ MB, \d+ a second, +\d+ %/)
  assert.match(out, /Copied 200 messages/)
})

run({ atOnce: 4 })
