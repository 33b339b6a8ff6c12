// SPDX-License-Identifier: Apache-2.0
// Moving in with the data of a NATS Streaming server: stores that a real one left, stores that a small writer makes (lib/filestore.js)
// with every kind of damage, and clients that go on as if nothing had happened. Each test imports into a directory of its own.
'use strict'

const assert = require('assert')
const { execFile, spawn } = require('child_process')
const fs = require('fs')
const path = require('path')
const { test, run } = require('./lib/tap')
const { Server, program } = require('./lib/server')
const { StanClient, START, message } = require('./lib/stan')
const stanClient = require('./lib/stan_client')
const { OldServer } = require('./lib/old_server')
const { writeStore, recorded, temporary, damage, fingerprint, record, messageOf, encode, SUB, AES, CHACHA } = require('./lib/filestore')
const { Queue, event, until, within } = require('./lib/wait')

/** Runs the program until it ends; { status, out, err }. */
function weir (...args) {
  return within(new Promise((resolve) => {
    const env = { ...process.env }
    delete env.NATS_STREAMING_ENCRYPTION_KEY
    execFile(program, args, { env }, (error, out, err) => {
      resolve({ status: error ? error.code : 0, out, err })
    })
  }), `weir ${args[0]}`, 30000)
}

const weirImport = (...args) => weir('import', ...args)
/** A start that is refused. */
const weirServe = (...args) => weir('serve', '-a', '127.0.0.1', '-p', '-1', ...args)

/** Imports, and starts a server on what came of it. The source must be as it was. */
async function moveIn (t, source, { flags = [], importFlags = [], port } = {}) {
  const before = fingerprint(source)
  let summary
  const server = await Server.start(flags, {
    port,
    prepare: async (directory) => {
      const done = await weirImport(source, '--dir', directory, ...importFlags)
      assert.strictEqual(done.status, 0, done.err)
      summary = done
    }
  })
  t.after(() => server.stop())
  assert.strictEqual(fingerprint(source), before)
  return { server, ...summary }
}

const messages = (from, to, made = (seq) => ({})) =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ seq: from + i, data: `m${from + i}`, time: 1700000000000000000n + BigInt(from + i), ...made(from + i) }))

/** Everything that a channel has, from its first message on. */
async function readAll (server, channel, count) {
  const client = await StanClient.connect(server)
  const subscription = await client.subscribe(channel, { startPosition: START.FIRST, maxInFlight: 100000 })
  const got = await subscription.queue.take(count)
  await client.publish(channel, 'the end')
  const end = await subscription.next()
  assert.strictEqual(end.data, 'the end')
  assert.strictEqual(end.sequence, got.length ? got[got.length - 1].sequence + 1 : 1)
  await client.leave()
  return got
}

/** A client of the old server that has lost its connection: it listens where it listened, and says nothing about itself. */
async function former (server, inbox, ackInbox, channel) {
  const client = await StanClient.open(server)
  const queue = new Queue(`a message for ${inbox}`)
  client.nc.subscribe(inbox, { callback: (error, raw) => error || queue.push(require('node-nats-streaming/lib/pb').pb.MsgProto.deserializeBinary(raw.data)) })
  await client.nc.flush()
  const ack = (sequence) => client.nc.publish(ackInbox, message('Ack', { subject: channel, sequence }))
  return { client, queue, ack, leave: () => client.leave() }
}

const sequences = (taken) => taken.map((one) => (one.getSequence ? one.getSequence() : one.sequence))
const span = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

// ---- what a real server left

for (const [name, importFlags] of [['plain', []], ['aes', ['--encryption-key', 'testkey']]]) {
  test(`IM-10 channels come over with numbers, times and payloads (${name})`, async (t) => {
    const { data, channelsz } = recorded(t, name)
    const { server, out } = await moveIn(t, data, { importFlags })
    for (const line of ['3 channels', '371 messages', '5 clients', '1 durable subscription', '1 durable queue group', '1 queue group', '1 other']) assert.ok(out.includes(line), out)
    for (const channel of channelsz.channels) {
      const got = await readAll(server, channel.name, channel.msgs)
      assert.deepStrictEqual(sequences(got), span(channel.first_seq, channel.last_seq))
      if (channel.name === 'orders') {
        got.forEach((one, i) => assert.ok(one.data.startsWith(`order ${i + 1} `)))
        if (name === 'plain') assert.strictEqual(got[0].timestamp, Number(1795410274897475049n))
      }
      if (channel.name === 'binary') assert.deepStrictEqual([...got[0].bytes], [0, 1, 2, 255, 254, 13, 10, 0])
    }
  })
}

test('IM-11 a plain durable that was closed goes on where it was', async (t) => {
  const { server } = await moveIn(t, recorded(t, 'plain').data)
  // Its client never closed; nobody answers for it any more.
  const client = await StanClient.connect(server, { clientId: 'audit' })
  const ledger = await client.subscribe('orders', { durableName: 'ledger', maxInFlight: 20, startPosition: START.FIRST })
  const got = await ledger.queue.take(20)
  assert.deepStrictEqual(sequences(got), span(61, 80))
  assert.deepStrictEqual(got.map((one) => one.redelivered), [...Array(10).fill(true), ...Array(10).fill(false)])
})

test('IM-12 a durable queue group goes on: what its members had goes to others, then what nobody had', async (t) => {
  const { server } = await moveIn(t, recorded(t, 'plain').data)
  const client = await StanClient.connect(server)
  const group = await client.subscribe('training.jobs', { qGroup: 'gpu', durableName: 'trainers', maxInFlight: 1000 })
  // worker-2's deliveries had not been written when the old server was killed: they come again, none is missed.
  const got = sequences(await group.queue.take(105))
  assert.deepStrictEqual(got.sort((x, y) => x - y), span(16, 120))
})

test('IM-13 subscriptions of running clients go on at their inboxes, old ack inboxes count', async (t) => {
  const { data, channelsz } = recorded(t, 'plain')
  const { server } = await moveIn(t, data)
  const viewer = channelsz.channels.find((one) => one.name === 'orders').subscriptions.find((one) => one.last_sent === 224)
  const client = await former(server, viewer.inbox, viewer.ack_inbox, 'orders')
  assert.deepStrictEqual(sequences(await client.queue.take(20)), span(200, 219)) // as many as it may have in flight
  for (const sequence of [200, 201, 205]) client.ack(sequence)
  assert.deepStrictEqual(sequences(await client.queue.take(3)), span(220, 222))
  await client.leave()
})

test('IM-13 clients are known by their connections, and heard', async (t) => {
  const { server } = await moveIn(t, recorded(t, 'plain').data)
  const client = await StanClient.open(server)
  client.response = { getPingRequests: () => '_STAN.discover.test-cluster.pings', getCloseRequests: () => '_STAN.close.test-cluster' }
  assert.deepStrictEqual(await client.ping(Buffer.from('M268ZU33VS1QV22XRD295T')), { size: 0, error: '' }) // publisher
  assert.strictEqual((await client.ping(Buffer.from('M268ZU33VS1QV22XRD31GD'))).error, 'client has been replaced or is no longer registered') // gone
  const fields = { clientId: 'publisher', connId: Buffer.from('M268ZU33VS1QV22XRD295T') }
  assert.strictEqual((await client.publish('orders', 'more', fields)).error, '')
  assert.strictEqual(await client.bye('publisher'), '')
  assert.strictEqual(await client.bye('gone'), 'stan: unknown clientID')
  await client.leave()
})

test('IM-14 limits are those of the new server: the oldest go as they would have', async (t) => {
  const { data, channelsz } = recorded(t, 'sliced')
  const { server, out } = await moveIn(t, data, { flags: ['-mm', '200'] })
  assert.ok(out.includes('331 messages'), out)
  const orders = channelsz.channels.find((one) => one.name === 'orders')
  assert.deepStrictEqual([orders.first_seq, orders.msgs], [51, 200])
  // subs.dat lagged behind when the server was killed, so the durable has 51 to 60 again.
  const client = await former(server, orders.subscriptions[0].inbox, orders.subscriptions[0].ack_inbox, 'orders')
  client.ack(51)
  await client.client.nc.flush()
  await client.leave()
  const reader = await StanClient.connect(server)
  const all = await reader.subscribe('orders', { maxInFlight: 1000 })
  assert.deepStrictEqual(sequences(await all.queue.take(200)), span(51, 250))
})

test('IM-21 an encrypted store needs its key', async (t) => {
  const { data } = recorded(t, 'aes')
  const directory = path.join(temporary(t), 'data')
  const without = await weirImport(data, '--dir', directory)
  assert.match(without.err, /look encrypted: the key is needed: --encryption-key-file FILE/)
  const wrong = await weirImport(data, '--dir', directory, '--encryption-key', 'sesame')
  assert.match(wrong.err, /binary\/msgs\.1\.dat:4: sequence 1 cannot be decrypted/)
  for (const done of [without, wrong]) assert.strictEqual(done.status, 1)
  const served = await weirServe('--dir', directory, '--import', data)
  assert.match(served.err, /look encrypted: the key is needed: --import_key_file FILE/)
  for (const done of [without, wrong, served]) assert.ok(!done.err.includes('what is damaged'), done.err)
  assert.ok(!wrong.err.includes('sesame'), 'a key is shown to nobody')
})

// ---- clients that stay

test('IM-13 unmodified clients of a server that went away go on at its address', async (t) => {
  const old = await OldServer.start(t)
  const options = { cluster: 'old', stanPingInterval: 1000, stanMaxPingOut: 5 }
  const publisher = await stanClient.connect(t, old, { id: 'publisher', ...options })
  const worker = await stanClient.connect(t, old, { id: 'worker', ...options })
  const surprises = []
  for (const client of [publisher, worker]) for (const name of ['close', 'connection_lost', 'error']) client.on(name, () => surprises.push(name))
  for (const data of 'abcdef') await stanClient.publish(publisher, 'jobs', data)
  const jobs = await stanClient.subscribe(worker, 'jobs', { group: 'gpu', durable: 'trainers', manual: true, ackWait: 2000, maxInFlight: 4, all: true })
  const own = await stanClient.subscribe(worker, 'jobs', { manual: true, ackWait: 60000, maxInFlight: 2, all: true })
  const first = await jobs.queue.take(4)
  await own.queue.take(2)
  first[1].ack()
  assert.strictEqual((await jobs.queue.next()).data, 'e') // so the acknowledgement of b is with the old server

  const back = [publisher, worker].map((client) => event(client, 'reconnect'))
  const directory = await old.leave(temporary(t))
  const { server, out } = await moveIn(t, directory, { flags: ['-cid', 'old'], port: old.port })
  assert.match(out, /2 clients/)
  assert.match(out, /6 messages were sent and not acknowledged/)
  await Promise.all(back)

  // What was received from the old server is acknowledged to the new one, where the old one said.
  for (const one of [first[0], first[2]]) one.ack()
  assert.strictEqual((await jobs.queue.next()).data, 'f')
  // Numbers go on; the other subscription has two in flight still and gets nothing new.
  await stanClient.publish(publisher, 'jobs', 'g')
  const g = await jobs.queue.next()
  assert.deepStrictEqual([g.data, g.sequence, g.redelivered], ['g', 7, false])
  assert.strictEqual(own.queue.length, 0)
  // Nobody acknowledged d and e: they come again, and only they.
  for (const wanted = new Set(['d', 'e', 'f', 'g']); wanted.size;) {
    const one = await jobs.queue.next()
    assert.ok('defg'.includes(one.data) && one.redelivered, one.data)
    wanted.delete(one.data)
    one.ack()
  }
  // The clients' pings are answered, and what they ask for is done.
  let pings = 0
  const publishOnce = worker.nc.publish
  worker.nc.publish = function (subject, ...rest) { if (subject === worker.pingRequests) pings++; return publishOnce.call(this, subject, ...rest) }
  await until(() => pings >= 2 && worker.pingOut === 0, 'two pings are answered')
  await stanClient.ended(jobs, 'close')
  await stanClient.ended(own, 'unsubscribe')
  assert.deepStrictEqual(surprises, [])
  assert.ok(!/no subject/.test(server.log))
})

// ---- made-up stores

for (const [name, cipher] of [['AES', AES], ['ChaCha20', CHACHA]]) {
  test(`IM-21 ${name}, and clear text from before`, async (t) => {
    const directory = temporary(t)
    writeStore(directory, { channels: { a: { slices: [messages(1, 3)] } }, key: 'k', cipher })
    damage(directory, 'a/msgs.1.dat', (bytes) => Buffer.concat([bytes, record(messageOf('a', { seq: 4, data: 'clear', time: 1700000000000000009n }))]))
    const { server } = await moveIn(t, directory, { importFlags: ['--encryption-key', 'k'] })
    assert.deepStrictEqual((await readAll(server, 'a', 4)).map((one) => one.data), ['m1', 'm2', 'm3', 'clear'])
  })
}

test('IM-03 slices in the order of their numbers, gaps, fillers, replies', async (t) => {
  const directory = temporary(t)
  const slices = Array.from({ length: 11 }, (_, i) => messages(10 * i + 11, 10 * i + 20, (seq) => ({ reply: `r${seq}` })))
  slices[4] = messages(51, 60, () => ({ data: '' })) // as a node of a cluster fills a gap
  writeStore(directory, { channels: { a: { slices, index: true }, empty: {} } })
  fs.rmSync(path.join(directory, 'a/msgs.3.dat'))
  const { server, out } = await moveIn(t, directory)
  assert.match(out, /10 sequence numbers .* are not there/)
  const got = await readAll(server, 'a', 100)
  assert.deepStrictEqual(sequences(got), [...span(11, 30), ...span(41, 120)])
  assert.strictEqual(got[0].reply, 'r11')
  assert.strictEqual(got[30].data, '')
})

test('IM-03 numbers that lie an age apart cost no more than their messages, for a subscriber and for a backup', async (t) => {
  const directory = temporary(t)
  const far = 2 ** 50
  writeStore(directory, { channels: { a: { slices: [messages(11, 12), messages(far, far + 1)] } } })
  const { server } = await moveIn(t, directory)
  assert.deepStrictEqual(sequences(await readAll(server, 'a', 4)), [11, 12, far, far + 1])
  const file = path.join(temporary(t), 'backup')
  const backup = await weir('backup', file, '-s', server.url)
  assert.strictEqual(backup.status, 0, backup.err)
  const restored = path.join(temporary(t), 'restored')
  assert.strictEqual((await weir('restore', file, '--dir', restored)).status, 0)
})

test('IM-05 positions of every kind of subscription', async (t) => {
  const directory = temporary(t)
  const subs = [
    [SUB.NEW, { id: 1, client: 'a', durable: 'd', isDurable: true, inbox: 'in.1', ackInbox: 'ack.1' }],
    ...span(1, 5).map((seq) => [SUB.PENDING, { id: 1, seq }]),
    [SUB.ACK, { id: 1, seq: 2 }], [SUB.ACK, { id: 1, seq: 4 }],
    [SUB.UPDATE, { id: 1, client: 'a', durable: 'd', isDurable: true, isClosed: true, lastSent: 5 }],
    // A group without members that remembers where it was.
    [SUB.NEW, { id: 2, group: 'd:shadow', isDurable: true, isClosed: true, lastSent: 6 }],
    [SUB.PENDING, { id: 2, seq: 3 }],
    // Deleted, and of a client that is not there.
    [SUB.NEW, { id: 3, client: 'a', inbox: 'in.3', ackInbox: 'ack.3', lastSent: 2 }], [SUB.DELETE, { id: 3 }],
    [SUB.NEW, { id: 4, client: 'nobody', inbox: 'in.4', ackInbox: 'ack.4', lastSent: 2 }],
    // Behind what there is.
    [SUB.NEW, { id: 5, client: 'b', durable: 'far', isDurable: true, inbox: 'in.5', ackInbox: 'ack.5', lastSent: 99 }], [SUB.PENDING, { id: 5, seq: 77 }]
  ]
  writeStore(directory, { clients: [{ id: 'a' }, { id: 'b' }, { id: 'c' }, { gone: 'c' }, { id: 'b', connId: 'again' }], channels: { jobs: { slices: [messages(1, 10)], subs } } })
  const { server, out } = await moveIn(t, directory)
  assert.match(out, /2 clients/)
  assert.match(out, /1 subscriptions had lost their client/)
  assert.match(out, /1 messages that were not acknowledged are not in the store any more/)
  assert.match(out, /1 positions lay behind the last message/)
  const a = await StanClient.connect(server, { clientId: 'a' })
  const d = await a.subscribe('jobs', { durableName: 'd' })
  assert.deepStrictEqual(sequences(await d.queue.take(8)), [1, 3, 5, 6, 7, 8, 9, 10])
  const group = await a.subscribe('jobs', { qGroup: 'shadow', durableName: 'd' })
  assert.deepStrictEqual(sequences(await group.queue.take(5)), [3, 7, 8, 9, 10])
  const far = await former(server, 'in.5', 'ack.5', 'jobs')
  await a.store('jobs', 'new')
  assert.strictEqual((await far.queue.next()).getSequence(), 11)
  await far.leave()
})

// ---- damage

/** A store of one channel with 30 messages in three slices. */
const small = (t, more = {}) => writeStore(temporary(t), { clients: [{ id: 'a' }], channels: { a: { slices: [messages(1, 10), messages(11, 20), messages(21, 30)], ...more } } })

const damages = {
  'a flipped bit in a payload': { name: 'a/msgs.2.dat', at: 4, change: (bytes) => { bytes[14] ^= 1; return bytes }, says: /check of a record does not fit/, lost: [11] },
  'a flipped bit in a length': { name: 'a/msgs.2.dat', at: 4, change: (bytes) => { bytes[4] ^= 4; return bytes }, says: /check of a record does not fit|no record begins/, lost: [11] },
  'a huge length': { name: 'a/msgs.2.dat', at: 4, change: (bytes) => { bytes[7] = 0xff; return bytes }, says: /no record begins here/, lost: [11] },
  'a length past the end': { name: 'a/msgs.2.dat', at: 4, change: (bytes) => { bytes[6] = 0x10; return bytes }, says: /ends within a record/, lost: [11] },
  'a header of zeros': { name: 'a/msgs.2.dat', at: 4, change: (bytes) => bytes.fill(0, 4, 12), says: /no record begins here/, lost: [11] },
  'a torn tail': { name: 'a/msgs.3.dat', change: (bytes) => bytes.subarray(0, bytes.length - 3), says: /ends within a record/, lost: [30], eof: true },
  'a torn header': { name: 'a/msgs.3.dat', change: (bytes) => Buffer.concat([bytes, Buffer.from([9, 0, 0])]), says: /ends within a record/, lost: [], eof: true },
  'an empty file': { name: 'a/msgs.3.dat', change: () => Buffer.alloc(0), says: /empty, as after a power cut/, lost: span(21, 30), eof: true },
  'another version': { name: 'a/msgs.3.dat', change: (bytes) => { bytes[0] = 2; return bytes }, says: /not a file of version 1/, lost: span(21, 30) },
  'a message twice': { name: 'a/msgs.2.dat', change: (bytes) => Buffer.concat([bytes, bytes.subarray(4)]), says: /sequence 11 after 20/, lost: [] },
  'a record that is no message': { name: 'a/msgs.1.dat', change: (bytes) => Buffer.concat([bytes, record(Buffer.from([0x0a, 0x7f]))]), says: /no message/, lost: [] },
  'an unknown record of a subscription': { name: 'a/subs.dat', change: (bytes) => Buffer.concat([bytes, record(encode({ 1: 1 }), { type: 9 })]), says: /type 9 that cannot be used/, lost: [] },
  'a damaged record of a subscription': { name: 'a/subs.dat', change: (bytes) => Buffer.concat([bytes, Buffer.from([4, 0, 0, 5, 1, 2, 3, 4, 8, 1, 16, 2])]), says: /check of a record does not fit/, lost: [] },
  'a damaged record of a client': { name: 'clients.dat', change: (bytes) => { bytes[13] ^= 0x20; return bytes }, says: /check of a record does not fit/, lost: [] }
}

for (const [what, { name, at, change, says, lost, eof }] of Object.entries(damages)) {
  test(`IM-06 ${what}: the import stops and says where, or passes over it`, async (t) => {
    const directory = small(t)
    damage(directory, name, (bytes) => change(Buffer.from(bytes)))
    const target = path.join(temporary(t), 'data')
    const stopped = await weirImport(directory, '--dir', target)
    assert.strictEqual(stopped.status, 1, stopped.out)
    assert.match(stopped.err, says)
    const place = new RegExp(`${name.replace(/[./]/g, '\\$&')}:${at === undefined ? '\\d+' : at}:`)
    if (!/empty|version/.test(what)) assert.match(stopped.err, place)
    // What it left is no data directory, and no obstacle.
    const served = await weirServe('--dir', target)
    assert.match(served.err, /was not finished/)
    const dry = await weirImport(directory, '--dry-run', '--keep-going')
    const { server, out, err } = await moveIn(t, directory, { importFlags: eof ? ['--truncate-bad-eof'] : ['--keep-going'] })
    if (!eof) {
      assert.match(err, says)
      assert.match(out, /problems were passed over/)
      assert.ok(dry.out.includes(out.split('\n')[2]), dry.out)
    }
    assert.deepStrictEqual(sequences(await readAll(server, 'a', 30 - lost.length)), span(1, 30).filter((seq) => !lost.includes(seq)))
  })
}

test('IM-06 zeros at the end are no records; only what is no record is cut off', async (t) => {
  const directory = small(t)
  damage(directory, 'a/msgs.3.dat', (bytes) => Buffer.concat([bytes, Buffer.alloc(3 << 20)]))
  const whole = await weirImport(directory, '--dry-run')
  assert.match(whole.out, /\b30 messages/, whole.err)
  damage(directory, 'a/msgs.3.dat', (bytes) => bytes.subarray(0, bytes.length - (3 << 20) - 3))
  const cut = await weirImport(directory, '--dry-run', '--truncate-bad-eof')
  assert.match(cut.out, /\b29 messages/, cut.err)
  assert.match(cut.err, /a\/msgs\.3\.dat:\d+: \d+ bytes at the end, no whole record, were left out/)
  // --keep-going loses the same bytes and counts them to the last one, be they fewer than a header.
  const whole30 = fs.readFileSync(path.join(small(t), 'a/msgs.3.dat'))
  const size = record(messageOf('a', messages(30, 30)[0])).length
  for (const left of [1, 2, 5, 8, size - 3]) {
    damage(directory, 'a/msgs.3.dat', () => whole30.subarray(0, whole30.length - size + left))
    for (const [flag, says] of [['--keep-going', `passed over ${left} bytes`], ['--truncate-bad-eof', `${left} bytes at the end`]]) {
      const done = await weirImport(directory, '--dry-run', flag)
      assert.ok(done.err.includes(`a/msgs.3.dat:${whole30.length - size}: ${says}`), done.err)
    }
  }
  damage(directory, 'a/msgs.2.dat', (bytes) => { bytes[6] = 0x10; return bytes })
  const hidden = await weirImport(directory, '--dry-run', '--truncate-bad-eof')
  assert.strictEqual(hidden.status, 1, hidden.out)
  assert.match(hidden.err, /a\/msgs\.2\.dat:\d+: a record before which, from 4 on, none can be read/)
})

test('IM-01 a store whose server.dat is damaged comes over under the cluster id that is given', async (t) => {
  const subs = [[SUB.NEW, { id: 1, client: 'a', inbox: 'i', ackInbox: 'k', durable: 'd', isDurable: true, lastSent: 3 }]]
  for (const change of [(bytes) => bytes.subarray(0, 0), (bytes) => bytes.subarray(0, 20), (bytes) => { bytes[20] ^= 1; return bytes }, (bytes) => { bytes[0] = 7; return bytes }]) {
    const directory = small(t, { subs })
    damage(directory, 'server.dat', change)
    for (const flags of [[], ['--keep-going'], ['--cluster_id', 'old']]) {
      const refused = await weirImport(directory, '--dry-run', ...flags)
      assert.strictEqual(refused.status, 1)
      assert.match(refused.err, /server\.dat:\d: .*`weir import --keep-going --cluster_id ID` takes your word/)
      assert.strictEqual(/; --keep-going passes over what is damaged/.test(refused.err), !flags.includes('--keep-going'), refused.err)
    }
    const invalid = await weirImport(directory, '--dry-run', '--keep-going', '--cluster_id', 'o.ld')
    assert.match(invalid.err, /only letters, digits, - and _/)
    const { server, out, err } = await moveIn(t, directory, { flags: ['-cid', 'test-cluster'], importFlags: ['--keep-going', '--cluster_id', 'test-cluster'] })
    assert.match(err, /warning: server\.dat:\d: .*the cluster id is taken to be test-cluster/)
    for (const line of ['30 messages', '1 durable subscription', '1 problems were passed over']) assert.ok(out.includes(line), out)
    assert.deepStrictEqual(sequences(await readAll(server, 'a', 30)), span(1, 30))
  }
})

test('IM-01 a store whose server.dat is missing altogether comes over in the same way', async (t) => {
  const directory = small(t)
  fs.rmSync(path.join(directory, 'server.dat'))
  for (const flags of [[], ['--keep-going'], ['--cluster_id', 'old']]) {
    const refused = await weirImport(directory, '--dry-run', ...flags)
    assert.strictEqual(refused.status, 1)
    assert.match(refused.err, /server\.dat is missing: .*`weir import --keep-going --cluster_id ID` takes your word/)
  }
  const { server, out, err } = await moveIn(t, directory, { flags: ['-cid', 'test-cluster'], importFlags: ['--keep-going', '--cluster_id', 'test-cluster'] })
  assert.match(err, /warning: server\.dat is missing: the cluster id is taken to be test-cluster/)
  assert.ok(out.includes('30 messages'), out)
  assert.deepStrictEqual(sequences(await readAll(server, 'a', 30)), span(1, 30))
  // Where there is nothing of such a server, nobody's word makes a store of it.
  const other = temporary(t)
  fs.mkdirSync(path.join(other, 'folder'))
  const none = await weirImport(other, '--dry-run', '--keep-going', '--cluster_id', 'test-cluster')
  assert.strictEqual(none.status, 1)
  assert.match(none.err, /there is no server\.dat: this is not the --dir of a NATS Streaming server/)
})

test('IM-01 server.dat has one record and nothing behind it', async (t) => {
  const directory = small(t)
  for (const [count, behind] of [[3, Buffer.from('abc')], [100, Buffer.alloc(100)]]) {
    const bytes = fs.readFileSync(path.join(directory, 'server.dat'))
    damage(directory, 'server.dat', () => Buffer.concat([bytes, behind]))
    const refused = await weirImport(directory, '--dry-run')
    assert.strictEqual(refused.status, 1)
    assert.ok(refused.err.includes(`server.dat:${bytes.length}: ${count} bytes behind the one record it has`), refused.err)
    const passed = await weirImport(directory, '--dry-run', '--keep-going')
    assert.match(passed.out, /cluster id test-cluster[^]*30 messages[^]*1 problems were passed over/, passed.err)
    fs.writeFileSync(path.join(directory, 'server.dat'), bytes)
  }
  const other = await weirImport(directory, '--dry-run', '--cluster_id', 'another')
  assert.match(other.err, /the store is of the cluster id test-cluster, not another/)
})

test('IM-06 every byte of a small store flipped, one after the other: no crash, and nothing invented', async (t) => {
  const directory = writeStore(temporary(t), { clients: [{ id: 'a' }], channels: { a: { slices: [messages(1, 2)], subs: [[SUB.NEW, { id: 1, client: 'a', inbox: 'i', ackInbox: 'k' }], [SUB.PENDING, { id: 1, seq: 1 }]] } } })
  for (const name of ['clients.dat', 'a/msgs.1.dat', 'a/subs.dat', 'server.dat']) {
    const whole = fs.readFileSync(path.join(directory, name))
    for (let at = 0; at < whole.length; at += name === 'server.dat' ? 40 : 7) {
      const bytes = Buffer.from(whole)
      bytes[at] ^= 1 << at % 8
      fs.writeFileSync(path.join(directory, name), bytes)
      const done = await weirImport(directory, '--dry-run', '--keep-going')
      assert.ok(done.status === 0 || done.status === 1, `${name}:${at}: ${done.err}`)
      if (done.status === 0) assert.match(done.out, /\b[012] messages/)
      else assert.match(done.err, /server\.dat/)
    }
    fs.writeFileSync(path.join(directory, name), whole)
  }
})

test('ST-C26 checks with another polynomial, and none', async (t) => {
  for (const [check, importFlags] of [[0x82f63b78, ['--file_crc_poly', String(0x82f63b78)]], [0, ['--file_crc=false']]]) {
    const directory = writeStore(temporary(t), { clients: [{ id: 'a' }], channels: { a: { slices: [messages(1, 3)] } }, check })
    const refused = await weirImport(directory, '--dry-run')
    assert.match(refused.err, /server\.dat:4: damaged, or checked with another polynomial/)
    const { server } = await moveIn(t, directory, { importFlags })
    assert.deepStrictEqual(sequences(await readAll(server, 'a', 3)), [1, 2, 3])
  }
})

// ---- where from, where to

test('IM-20 what is no store, and what an import does not fill', async (t) => {
  const empty = temporary(t)
  const directory = small(t)
  for (const [args, says, status] of [
    [[empty, '--dry-run'], /there is no server\.dat/, 1],
    [['/nowhere/at/all', '--dry-run'], /not found/, 1],
    [[directory, '--dir', directory], /it is not empty/, 1],
    [[directory], /--dir DATA is missing/, 2],
    [['--dir', empty], /the --dir of a NATS Streaming server is missing/, 2],
    [[directory, directory, '--dir', empty], /there is one SOURCE/, 2],
    [[directory, '--dir', empty, '--drx'], /drx/, 2]
  ]) {
    const done = await weirImport(...args)
    assert.match(done.err, says)
    assert.strictEqual(done.status, status)
  }
  assert.match((await weirImport(directory, '--dir', path.join(empty, 'new'))).out, /Imported/)
  assert.match((await weirImport(directory, '--dir', path.join(empty, 'new'))).err, /data directory already/)
})

test('IM-22 a node of a cluster brings its messages, and it is said what it does not bring', async (t) => {
  const directory = writeStore(temporary(t), { nodeId: 'a', channels: { a: { slices: [messages(1, 3)] } } })
  const { server, out } = await moveIn(t, directory)
  assert.match(out, /It was a node of a cluster/)
  assert.deepStrictEqual(sequences(await readAll(server, 'a', 3)), [1, 2, 3])
})

test('IM-06 a server that is running on the store is found and named', async (t) => {
  const directory = small(t)
  fs.writeFileSync(path.join(directory, '.rootdir.lck'), '')
  // As nats-streaming-server locks it: fcntl, the whole file.
  const holder = spawn('python3', ['-c', 'import fcntl,sys\nf=open(sys.argv[1],"w")\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint("locked",flush=True)\nsys.stdin.read()', path.join(directory, '.rootdir.lck')])
  await new Promise((resolve) => holder.stdout.once('data', resolve))
  const ended = new Promise((resolve) => holder.once('close', resolve))
  const done = await weirImport(directory, '--dry-run')
  holder.stdin.end()
  await ended
  assert.strictEqual(done.status, 1)
  assert.match(done.err, new RegExp(`process id ${holder.pid} is running on it`))
  assert.strictEqual((await weirImport(directory, '--dry-run')).status, 0)
})

test('IM-20 an import that is killed leaves nothing that is served; the next one begins anew', async (t) => {
  const directory = writeStore(temporary(t), { channels: { a: { slices: [messages(1, 20000, () => ({ data: 'x'.repeat(1000) }))] } } })
  // The kill must fall into the import: one that was faster than this process is no case of it.
  let target
  for (let tries = 0; !target || !fs.existsSync(path.join(target, 'IMPORTING')); tries++) {
    assert.ok(tries < 20, 'no import was still under way when it was killed')
    target = path.join(temporary(t), 'data')
    const child = spawn(program, ['import', directory, '--dir', target])
    const ended = new Promise((resolve) => child.once('close', resolve))
    await until(() => fs.existsSync(path.join(target, 'wal')), 'the import writes')
    child.kill('SIGKILL')
    await ended
  }
  const served = await weirServe('--dir', target)
  assert.match(served.err, /an import or a restore into the data directory .* was not finished: repeat it/)
  assert.strictEqual((await weirImport(directory, '--dir', target)).status, 0)
  const checked = await weir('check', target)
  assert.match(checked.out, /20000 messages in the log, sequences 1 to 20000/, checked.err)
})

/** Whether some file of a data directory has the text as it is. */
function holds (directory, text) {
  return fs.readdirSync(directory, { withFileTypes: true, recursive: true })
    .some((one) => one.isFile() && fs.readFileSync(path.join(one.path, one.name)).includes(text))
}

function keyFile (t, key) {
  const file = path.join(temporary(t), 'key')
  fs.writeFileSync(file, key, { mode: 0o600 })
  return file
}

test('the new directory is encrypted if that is asked for, and else it is said that it is not', async (t) => {
  const directory = writeStore(temporary(t), { key: 'the old key', channels: { a: { slices: [messages(1, 20, () => ({ data: 'a secret payload' }))] } } })
  const oldKey = keyFile(t, 'the old key\n')
  const newKey = keyFile(t, '0123456789abcdef0123456789abcdef')
  const clear = path.join(temporary(t), 'data')
  const plain = await weirImport(directory, '--dir', clear, '--encryption-key-file', oldKey)
  assert.match(plain.out, /20 messages were encrypted, and are in the clear now \(--data-key-file\)/, plain.err)
  assert.match(plain.err, /was encrypted, and .* is not: who has its files can read the messages/)
  assert.ok(holds(clear, 'a secret payload'))
  for (const cipher of ['AES', 'CHACHA']) {
    const { server, out, err } = await moveIn(t, directory, {
      importFlags: ['--encryption-key-file', oldKey, '--data-key-file', newKey, '--data-cipher', cipher],
      flags: ['--encryption_key_file', newKey]
    })
    assert.match(out, /20 messages were encrypted\n/)
    assert.strictEqual(err, '')
    assert.ok(!holds(path.join(server.directory, 'data'), 'a secret payload'))
    assert.deepStrictEqual(sequences(await readAll(server, 'a', 20)), span(1, 20))
  }
  const without = await weirServe('--dir', clear, '--encryption_key_file', path.join(temporary(t), 'none'))
  assert.match(without.err, /encryption key file .*not found/)
  for (const flag of ['--data-key-file', '--encryption-key-file']) {
    const refused = await weirImport(directory, '--dir', path.join(temporary(t), 'data'), flag, path.join(temporary(t), 'none'))
    assert.match(refused.err, /encryption key file .*not found/)
  }
})

test('serve --import has a key of its own for the source', async (t) => {
  const newKey = keyFile(t, '0123456789abcdef0123456789abcdef')
  const looksSealed = writeStore(temporary(t), { channels: { a: { slices: [messages(1, 3, () => ({ data: Buffer.concat([Buffer.from([1]), Buffer.alloc(60, 7)]) }))] } } })
  const start = async (source, ...flags) => {
    const server = await Server.start(['--encryption_key_file', newKey, '--import', source, ...flags])
    t.after(() => server.stop())
    return server
  }
  // Clear payloads that look encrypted are not tried with the key of the new directory.
  const refused = await weirServe('--dir', path.join(temporary(t), 'd'), '--encryption_key_file', newKey, '--import', looksSealed)
  assert.match(refused.err, /sequence 1 cannot be decrypted/)
  const clear = await start(looksSealed, '--import_encrypted=false')
  assert.deepStrictEqual([...(await readAll(clear, 'a', 3))[2].bytes].slice(0, 2), [1, 7])
  const sealed = writeStore(temporary(t), { key: 'the old key', channels: { a: { slices: [messages(1, 3, () => ({ data: 'a secret payload' }))] } } })
  const other = await start(sealed, '--import_key_file', keyFile(t, 'the old key'))
  assert.strictEqual((await readAll(other, 'a', 3))[0].data, 'a secret payload')
  assert.ok(!holds(path.join(other.directory, 'data'), 'a secret payload'))
  const alone = await weirServe('--dir', path.join(temporary(t), 'd'), '--import_key_file', newKey)
  assert.match(alone.err, /about what -import names/)
})

test('two imports at once into one directory: one of them, whole', async (t) => {
  const directory = writeStore(temporary(t), { channels: { a: { slices: [messages(1, 3000, () => ({ data: 'x'.repeat(1000) }))] } } })
  for (let round = 0; round < 3; round++) {
    const target = path.join(temporary(t), 'data')
    const done = await Promise.all([1, 2, 3].map(() => weirImport(directory, '--dir', target)))
    assert.deepStrictEqual(done.map((one) => one.status).sort(), [0, 1, 1], JSON.stringify(done))
    const checked = await weir('check', target)
    assert.match(checked.out, /3000 messages in the log, sequences 1 to 3000/, checked.err)
  }
})

test('a cluster id that is too long to be served is said to be', async (t) => {
  const directory = writeStore(temporary(t), { clusterId: 'c'.repeat(129), channels: {} })
  const done = await weirImport(directory, '--dir', path.join(temporary(t), 'data'))
  assert.match(done.err, /its cluster id has 129 characters: at most 128 can be served/)
  const { server } = await moveIn(t, writeStore(temporary(t), { clusterId: 'c'.repeat(128), channels: {} }), { flags: ['-cid', 'c'.repeat(128)] })
  assert.ok(server)
})

test('IM-13 request subjects that are not those of the cluster id are said, and who must do something about it', async (t) => {
  const directory = writeStore(temporary(t), { prefix: '_OLD', channels: { a: { slices: [messages(1, 3)] } } })
  const { err, out } = await moveIn(t, directory)
  assert.match(err, /the old server used the subject _OLD\.pub\.test-cluster and not _STAN\.pub\.test-cluster/)
  assert.match(out, /had request subjects that are not made of its cluster id: see above\. Clients that are running must be started\nanew/)
  const other = await weirImport(writeStore(temporary(t), { channels: {} }), '--dry-run')
  assert.doesNotMatch(other.out, /request subjects/)
})

test('a file in which long records seem to begin everywhere is given up', async (t) => {
  const directory = small(t)
  const pattern = Buffer.from([0x08, 0xff, 0x00, 0x01, 1, 2, 3, 4])
  damage(directory, 'a/subs.dat', (bytes) => Buffer.concat([bytes, Buffer.alloc(16 << 20, pattern)]))
  const done = await weirImport(directory, '--dry-run', '--keep-going')
  assert.match(done.err, /long records seem to begin everywhere/)
  assert.match(done.out, /30 messages/)
})

test('IM-20 serve --import moves in once', async (t) => {
  const directory = writeStore(temporary(t), { clusterId: 'old', channels: { a: { slices: [messages(1, 3)] } } })
  const other = await weirServe('--dir', path.join(temporary(t), 'd'), '--import', directory)
  assert.match(other.err, /the store is of the cluster id old, not test-cluster/)
  const nowhere = await weirServe('--dir', path.join(temporary(t), 'd'), '--import', '/nowhere/at/all')
  for (const refused of [other, nowhere]) assert.match(refused.err, /nothing was imported$/m)
  const damaged = small(t)
  damage(damaged, 'a/msgs.2.dat', (bytes) => { bytes[14] ^= 1; return bytes })
  const stopped = await weirServe('--dir', path.join(temporary(t), 'd'), '--import', damaged)
  assert.match(stopped.err, /nothing was imported; `weir import --keep-going` passes over what is damaged/)
  const server = await Server.start(['-cid', 'old', '--import', directory])
  t.after(() => server.stop())
  assert.match(server.log, /Imported .*: 1 channels with 3 messages/)
  await server.restart('SIGTERM')
  assert.match(server.log, /has data already/)
  assert.match(server.log, /Recovered 1 channels with 3 messages/)
})

run({ atOnce: 4 })
