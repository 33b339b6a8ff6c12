// SPDX-License-Identifier: Apache-2.0
// `weir backup` of a running server, `weir restore` elsewhere: unmodified clients go on where they were.
'use strict'

const assert = require('assert')
const { execFile } = require('child_process')
const fs = require('fs')
const os = require('os')
const nats = require('nats')
const path = require('path')
const { test, run } = require('./lib/tap')
const { Server, program } = require('./lib/server')
const { StanClient, START } = require('./lib/stan')
const { connect, publish, subscribe, ended, vanish } = require('./lib/stan_client')
const { event, until, within } = require('./lib/wait')

/** Runs the program until it ends; { status, out, err }. */
function weir (...args) {
  return within(new Promise((resolve) => {
    execFile(program, args, (error, out, err) => resolve({ status: error ? error.code : 0, out, err }))
  }), `weir ${args[0]}`, 30000)
}

function temporary (t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-backup-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function start (t, options = {}, flags = []) {
  const server = await Server.start(flags, options)
  t.after(() => server.stop())
  return server
}

async function backup (t, server, ...args) {
  const file = path.join(temporary(t), 'backup')
  const done = await weir('backup', '-s', server.url, ...args, file)
  assert.strictEqual(done.status, 0, done.err)
  return { file, ...done }
}

/** A server elsewhere that has what is in the file. */
async function restored (t, file, { flags = [], ...options } = {}) {
  let out
  const server = await start(t, {
    ...options,
    prepare: async (directory) => {
      const done = await weir('restore', file, '--dir', directory)
      assert.strictEqual(done.status, 0, done.err)
      out = done.out
    }
  }, flags)
  return { server, out }
}

const span = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const sequences = (taken) => taken.map((one) => one.sequence)

test('a backup that is restored elsewhere continues consumers where they were, with their clients', async (t) => {
  const server = await start(t)
  const options = { maxReconnectAttempts: -1 }
  const worker = await connect(t, server, { id: 'worker', ...options })
  for (const data of 'abcdef') await publish(worker, 'jobs', data)
  const group = await subscribe(worker, 'jobs', { group: 'gpu', durable: 'd', manual: true, maxInFlight: 4, ackWait: 3000, all: true })
  const ledger = await subscribe(worker, 'jobs', { durable: 'ledger', manual: true, maxInFlight: 3, ackWait: 60000, all: true })
  const first = await group.queue.take(4)
  const held = await ledger.queue.take(3)
  first[1].ack()
  held[0].ack()
  assert.strictEqual((await group.queue.next()).data, 'e')
  assert.strictEqual((await ledger.queue.next()).data, 'd')
  await ended(ledger, 'close')
  await publish(worker, 'other', 'x')
  const { file, out } = await backup(t, server)
  assert.match(out, /everything, cluster id test-cluster, of .*: 2 channels, 7 messages, \d+ bytes, whole/)
  // What happens later is not in it.
  await publish(worker, 'jobs', 'later')
  const back = event(worker, 'reconnect')
  const port = server.port
  await server.stop()
  const second = await restored(t, file, { port })
  assert.match(second.out, /2 channels, 7 messages, 1 clients, 2 durables/)
  await back
  // The same client, its member, its ack inbox: a, c, d are with it still.
  first[0].ack()
  assert.strictEqual((await group.queue.next()).data, 'f')
  await publish(worker, 'jobs', 'g')
  const again = []
  while (again.length < 4) {
    const one = await group.queue.next()
    again.push([one.data, one.redelivered])
    one.ack()
  }
  assert.deepStrictEqual(again.filter(([data]) => data !== 'g').map(([, redelivered]) => redelivered).every(Boolean), true)
  assert.deepStrictEqual([...new Set(again.map(([data]) => data))].filter((data) => 'cde'.includes(data)).sort(), ['c', 'd', 'e'])
  // The closed durable has b, c, d to come again, then e, f, g.
  const resumed = await subscribe(worker, 'jobs', { durable: 'ledger', manual: true, maxInFlight: 10 })
  const got = await resumed.queue.take(6)
  assert.deepStrictEqual(got.map((one) => one.data).join(''), 'bcdefg')
  assert.deepStrictEqual(got.map((one) => one.redelivered), [true, true, true, false, false, false])
  assert.strictEqual(got[5].sequence, 7)
})

test('a backup is of one moment, while others publish', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  for (let i = 0; i < 40; i++) await client.store('log', ...Array.from({ length: 50 }, (_, j) => `${50 * i + j}`.padEnd(500, '.')))
  let stop = false
  const publishing = (async () => {
    let stored = 0
    while (!stop) { await client.store('log', ...Array(20).fill('more')); stored += 20 }
    return stored
  })()
  const { file } = await backup(t, server)
  stop = true
  const stored = await publishing
  const { server: other } = await restored(t, file)
  const reader = await StanClient.connect(other)
  const last = await reader.subscribe('log', { startPosition: START.LAST })
  const end = (await last.next()).sequence
  assert.ok(end >= 2000 && end <= 2000 + stored, String(end))
  const all = await reader.subscribe('log', { maxInFlight: 100000 })
  const got = await all.queue.take(end)
  assert.deepStrictEqual(sequences(got), span(1, end))
  assert.strictEqual(got[1234].data, '1234'.padEnd(500, '.'))
})

test('one channel: its messages and durables, no clients', async (t) => {
  const server = await start(t)
  const client = await connect(t, server)
  for (const channel of ['a', 'b']) for (const data of ['1', '2', '3']) await publish(client, channel, data)
  const durable = await subscribe(client, 'a', { durable: 'd', all: true })
  await durable.queue.take(3)
  await subscribe(client, 'a', { all: true })
  await publish(client, 'a', '4')
  await durable.queue.next()
  await publish(client, 'b', '4') // so the acknowledgements are with the server
  const { file, out } = await backup(t, server, '--channel', 'a')
  assert.match(out, /^channel a, .*: 1 channels, 4 messages/)
  const { server: other, out: said } = await restored(t, file)
  assert.match(said, /1 channels, 4 messages, 0 clients, 1 durables/)
  assert.match(said, /2 subscriptions without their client/)
  const same = await connect(t, other, { id: client.clientID })
  await publish(same, 'a', '5')
  const resumed = await subscribe(same, 'a', { durable: 'd' })
  await until(() => resumed.queue.items.some((one) => one.data === '5'), 'what is new')
  assert.strictEqual(resumed.queue.items.find((one) => one.data === '5').sequence, 5)
})

test('numbers go on in a channel whose messages have all gone', async (t) => {
  const server = await start(t, {}, ['-ma', '300ms'])
  const client = await StanClient.connect(server)
  await client.store('short', 'a', 'b', 'c')
  await until(async () => {
    const { file, out } = await backup(t, server)
    if (!/ 0 messages/.test(out)) return false
    const { server: other } = await restored(t, file)
    const writer = await StanClient.connect(other)
    const subscription = await writer.subscribe('short')
    await writer.store('short', 'd')
    assert.strictEqual((await subscription.next()).sequence, 4)
    return true
  }, 'the messages are too old')
})

test('a file that is damaged, cut off or no backup is refused, and nothing is made of it', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  await client.store('a', 'some', 'messages', 'there')
  const { file } = await backup(t, server)
  const whole = fs.readFileSync(file)
  const target = path.join(temporary(t), 'data')
  const refused = async (bytes, says) => {
    fs.writeFileSync(file, bytes)
    const done = await weir('restore', file, '--dir', target)
    assert.strictEqual(done.status, 1)
    assert.match(done.err, says)
    assert.ok(!fs.existsSync(target))
  }
  for (let at = 8; at < whole.length; at += 61) {
    const bytes = Buffer.from(whole)
    bytes[at] ^= 1 << at % 8
    await refused(bytes, /damaged at byte|not a backup|newer/)
  }
  await refused(whole.subarray(0, whole.length - 48), /cut off/)
  await refused(Buffer.concat([whole, whole.subarray(0, 64)]), /damaged at byte/)
  await refused(Buffer.from('something else'), /not a backup/)
  await refused(Buffer.alloc(0), /not a backup/)
  fs.writeFileSync(file, whole)
  assert.match((await weir('backup', '--check', file)).out, /1 channels, 3 messages, .* whole/)
})

test('what cannot be done is said', async (t) => {
  const server = await start(t)
  const directory = temporary(t)
  const file = path.join(directory, 'file')
  const says = async (pattern, ...args) => {
    const done = await weir(...args)
    assert.notStrictEqual(done.status, 0)
    assert.match(done.err, pattern)
  }
  await says(/there is no such channel/, 'backup', '-s', server.url, '--channel', 'nowhere', file)
  assert.deepStrictEqual(fs.readdirSync(directory), [])
  fs.writeFileSync(file, 'kept')
  await says(/nothing is overwritten/, 'backup', '-s', server.url, file)
  assert.strictEqual(fs.readFileSync(file, 'utf8'), 'kept')
  await says(/not found/, 'restore', path.join(directory, 'none'), '--dir', path.join(directory, 'data'))
  await says(/--dir DATA is missing/, 'restore', file)
  await says(/the server makes no backups/, 'backup', '-s', (await start(t, {}, ['--streaming=false'])).url, path.join(directory, 'new'))
})

test('who may make backups is named', async (t) => {
  const file = path.join(temporary(t), 'conf')
  fs.writeFileSync(file, `authorization { users: [
    { user: operator, password: p, permissions: { publish: "$WEIR.API.V1.BACKUP.>", subscribe: "_INBOX.>" } }
    { user: named, password: p, permissions: { publish: ["$WEIR.>"] } }
    { user: everything, password: p, permissions: { publish: ">" } }
    { user: free, password: p }
  ] }`)
  const server = await start(t, {}, ['-c', file])
  const nc = await nats.connect({ servers: server.url, user: 'free', pass: 'p' })
  t.after(() => nc.close())
  const as = (user) => weir('backup', '-s', `nats://${user}:p@127.0.0.1:${server.port}`, path.join(temporary(t), 'backup'))
  for (const user of ['everything', 'free']) {
    const done = await as(user)
    assert.strictEqual(done.status, 1)
    assert.match(done.err, /needs a publish permission that begins with \$WEIR\./)
  }
  assert.match((await as('operator')).err, /Permissions Violation for Publish to "\$WEIR\.API\.V1\.BACKUP"/)
  assert.strictEqual((await as('named')).status, 0)
  assert.match(server.log, /\[WRN\] connection \d+ may not ask for \$WEIR\.API\.V1\.BACKUP/)
  // Nor by letting the server ask: its answers go where clients say.
  nc.publish('_STAN.discover.test-cluster', Buffer.from('\n\x01a\x12\x01b'), { reply: '$WEIR.API.V1.BACKUP' })
  await server.logged(/connection 0 may not ask for \$WEIR\.API\.V1\.BACKUP/)
})

test('what waits to be delivered again, and what is dead, is so after a restore', async (t) => {
  const conf = path.join(temporary(t), 'conf')
  fs.writeFileSync(conf, 'streaming { store_limits { channels { jobs { max_deliver: 2, dead_letter: z.dead } } } }')
  const server = await start(t, { http: true }, ['-c', conf])
  const client = await connect(t, server, { id: 'worker' })
  for (const data of 'abcde') await publish(client, 'jobs', data)
  const held = await subscribe(client, 'jobs', { durable: 'd', group: 'g', manual: true, all: true, maxInFlight: 5, ackWait: 60000 })
  await held.queue.take(5)
  const say = (text) => client.nc.publish(held.ackInbox, text)
  say('-NAK 1 {"delay":"1h"}')
  say('+TERM 2 no such customer')
  say('-NAK 3')
  assert.strictEqual((await held.queue.next()).data, 'c')
  say('-NAK 3') // that was its second
  const page = '/streaming/channelsz?channel=jobs&subs=1'
  await until(async () => (await server.page(page)).dead === 2, 'two are dead')
  const { file } = await backup(t, server)
  vanish(client)
  const { server: other, out } = await restored(t, file, { http: true, flags: ['-c', conf] })
  assert.match(out, /3 messages not acknowledged, 2 dead/)
  assert.strictEqual((await other.page(page)).dead, 2)
  const letters = await StanClient.connect(other)
  const listed = JSON.parse(await letters.request('$WEIR.API.V1.MSG.LIST', Buffer.from('{"channel":"jobs","group":"d:g","state":"dead"}')))
  assert.deepStrictEqual(listed.messages.map((one) => [one.sequence, one.reason, one.dead_letter && one.dead_letter.channel]), [[2, 'no such customer', 'z.dead'], [3, 'max_deliver', 'z.dead']])
  assert.deepStrictEqual((await (await letters.subscribe('z.dead')).queue.take(2)).map((one) => one.data).sort(), ['b', 'c'])
  // The member that is gone gives back what it had; what waits for an hour does not come, what is dead neither.
  const second = await StanClient.connect(other, { clientId: 'second' })
  const got = await second.subscribe('jobs', { qGroup: 'g', durableName: 'd', ackWaitInSecs: 60 })
  await second.store('jobs', 'f')
  assert.deepStrictEqual((await got.queue.take(3)).map((one) => one.data).sort(), ['d', 'e', 'f'])
  await other.restart('SIGTERM')
  assert.strictEqual((await other.page(page)).dead, 2)
})

test('pauses and configurations by hand come over', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  await client.store('jobs', 'a', 'b', 'c')
  await client.store('edited', 'a', 'b', 'c')
  await client.subscribe('edited', { durableName: 'd', qGroup: 'g' })
  const api = async (asker, subject, request) => JSON.parse(await asker.request(`$WEIR.API.V1.${subject}`, Buffer.from(JSON.stringify(request))))
  const paused = await api(client, 'CHANNEL.PAUSE', { channel: 'jobs', for_ms: 3600000 })
  assert.strictEqual(paused.paused, true, JSON.stringify(paused))
  assert.strictEqual((await api(client, 'GROUP.PAUSE', { channel: 'edited', group: 'd:g' })).paused, true)
  const edited = await api(client, 'CHANNEL.EDIT', { channel: 'edited', config: { max_msgs: 7, max_inactivity_ms: 3600000, dead_letter: 'z' } })
  assert.strictEqual(edited.edited, true, JSON.stringify(edited))
  const { file } = await backup(t, server)
  const { server: other } = await restored(t, file)
  for (let life = 0; life < 2; life++) {
    const asker = await StanClient.open(other)
    const jobs = await api(asker, 'CHANNEL.INFO', { channel: 'jobs' })
    assert.deepStrictEqual([jobs.paused, jobs.paused_until, jobs.edited], [true, paused.paused_until, false])
    assert.strictEqual((await api(asker, 'GROUP.INFO', { channel: 'edited', group: 'd:g' })).paused, true)
    const again = await api(asker, 'CHANNEL.INFO', { channel: 'edited' })
    assert.deepStrictEqual([again.paused, again.edited, again.messages], [false, true, 3])
    assert.deepStrictEqual(again.config, edited.config)
    await asker.leave()
    if (life === 0) await other.restart('SIGKILL')
  }
})

test('a restored directory is encrypted if that is asked for', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  await client.store('jobs', 'a secret payload')
  const { file } = await backup(t, server)
  const key = path.join(temporary(t), 'key')
  fs.writeFileSync(key, '0123456789abcdef0123456789abcdef\n', { mode: 0o600 })
  const other = await start(t, {
    prepare: async (directory) => {
      const done = await weir('restore', file, '--dir', directory, '--data-key-file', key, '--data-cipher', 'CHACHA')
      assert.strictEqual(done.status, 0, done.err)
      assert.ok(done.out.includes(`--dir ${directory} --encryption_key_file ${key}\n`), done.out)
    }
  }, ['--encryption_key_file', key])
  const wal = path.join(other.directory, 'data', 'wal')
  assert.ok(fs.readdirSync(wal).every((name) => !fs.readFileSync(path.join(wal, name)).includes('a secret payload')))
  const reader = await StanClient.connect(other)
  assert.strictEqual((await (await reader.subscribe('jobs')).next()).data, 'a secret payload')
  const wrong = await weir('restore', file, '--dir', path.join(temporary(t), 'data'), '--data-key-file', `${key}.none`)
  assert.match(wrong.err, /weir restore: encryption key file .*not found/)
  fs.chmodSync(key, 0o644)
  const open = await weir('restore', file, '--dir', path.join(temporary(t), 'data'), '--data-key-file', key)
  assert.match(open.err, /weir restore: warning: the encryption key file .* can be read by others/)
})

test('answers fit into a message, however long what is in them is', async (t) => {
  const server = await start(t, {}, ['--max_payload', '3000'])
  const client = await StanClient.connect(server)
  for (let i = 0; i < 100; i++) await client.store('jobs', ...Array(20).fill('x'.repeat(i)))
  await client.store('jobs', 'y'.repeat(2500))
  const held = await client.subscribe('jobs', { durableName: 'd', maxInFlight: 100000, ackWaitInSecs: 60 })
  await held.queue.take(2001) // its state alone has 6 KB
  const nc = await nats.connect({ servers: server.url })
  t.after(() => nc.close())
  const ask = async (subject, text) => {
    const { data } = await nc.request(subject, Buffer.from(text), { timeout: 15000 })
    assert.ok(data.length <= 3000)
    return { kind: String.fromCharCode(data[0]), rest: Buffer.from(data).subarray(1) }
  }
  const begun = await ask('$WEIR.API.V1.BACKUP', '{}')
  assert.strictEqual(begun.kind, 'B')
  const pieces = []
  for (let kind = 'D'; kind === 'D';) {
    const answer = await ask('$WEIR.API.V1.BACKUP.NEXT', begun.rest.toString())
    kind = answer.kind
    pieces.push(answer.rest)
  }
  const file = path.join(temporary(t), 'by-hand')
  fs.writeFileSync(file, Buffer.concat(pieces))
  const checked = await weir('backup', '--check', file)
  assert.match(checked.out, /1 channels, 2001 messages, \d+ bytes, whole/, checked.err)
  const { out } = await restored(t, file)
  assert.match(out, /1 channels, 2001 messages, 1 clients, 1 durables, queue groups and subscriptions, 2001 messages not acknowledged/)
})

test('states that are gathered in several turns are all there', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  const names = Array.from({ length: 1200 }, (_, i) => `${i}-`.padEnd(200, 'n'))
  for (const channel of ['a', 'b']) await client.store(channel, 'x')
  await Promise.all(names.map((durableName, i) => client.subscribe('ab'[i % 2], { durableName })))
  const { file, out } = await backup(t, server)
  assert.match(out, /2 channels, 2 messages/)
  const { out: said } = await restored(t, file)
  assert.match(said, /2 channels, 2 messages, 1 clients, 1200 durables/)
})

test('a backup is for who asked for it, and for others when he has gone', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  for (let i = 0; i < 20; i++) await client.store('log', ...Array(20).fill('x'.repeat(1000)))
  const one = await nats.connect({ servers: server.url })
  const two = await nats.connect({ servers: server.url })
  t.after(() => Promise.all([one.close(), two.close()]))
  const ask = async (nc, subject, text = '') => Buffer.from((await nc.request(subject, Buffer.from(text), { timeout: 15000 })).data).toString('latin1')
  const number = (await ask(one, '$WEIR.API.V1.BACKUP')).substring(1)
  assert.match(await ask(two, '$WEIR.API.V1.BACKUP.NEXT', number), /^Ethere is no such backup of yours/)
  assert.match(await ask(two, '$WEIR.API.V1.BACKUP'), /^Eanother backup is under way/)
  const file = path.join(temporary(t), 'backup')
  assert.match((await weir('backup', '-s', server.url, file)).err, /another backup is under way/)
  assert.match(await ask(one, '$WEIR.API.V1.BACKUP.NEXT', number), /^[DZ]/)
  // Again by the same connection, which gives up the first.
  const next = (await ask(one, '$WEIR.API.V1.BACKUP', '{"channel":"log"}')).substring(1)
  assert.notStrictEqual(next, number)
  assert.match(await ask(one, '$WEIR.API.V1.BACKUP.NEXT', number), /^Ethere is no such backup/)
  await one.close()
  await until(async () => (await weir('backup', '-s', server.url, file)).status === 0, 'the place is free')
  for (const [text, says] of [['[]', /JSON object/], ['log', /JSON object/], ['{"channel":1}', /"channel": must be a string/], ['{"chanel":"log"}', /"chanel": /], ['{"keep_going":1}', /"keep_going": /], ['x'.repeat(70000), /too big/]]) {
    const refused = await ask(two, '$WEIR.API.V1.BACKUP', text)
    assert.match(refused, /^E/)
    assert.match(refused, says)
  }
})

/** Damages a message of a server that does not run, wherever its log has it. */
function scratch (server, text) {
  const wal = path.join(server.directory, 'data', 'wal')
  let damaged = 0
  for (const name of fs.readdirSync(wal).filter((one) => one.endsWith('.wal'))) {
    const bytes = fs.readFileSync(path.join(wal, name))
    const at = bytes.indexOf(text)
    if (at < 0) continue
    const fd = fs.openSync(path.join(wal, name), 'r+')
    fs.writeSync(fd, text.slice(0, 3).toUpperCase(), at)
    fs.closeSync(fd)
    damaged++
  }
  assert.ok(damaged > 0)
}

test('a message that cannot be read ends a backup, or is passed over and counted', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  await client.store('jobs', 'one', 'two')
  await client.store('jobs', 'the bad one')
  await client.store('jobs', 'four', 'five')
  for (let i = 0; i < 40; i++) await client.store('later', ...Array(50).fill('x'.repeat(1000)))
  server.child.kill('SIGKILL')
  await server.ended
  scratch(server, 'the bad one')
  await server.launch()
  const file = path.join(temporary(t), 'backup')
  const refused = await weir('backup', '-s', server.url, file)
  assert.strictEqual(refused.status, 1)
  assert.match(refused.err, /message 3 of channel jobs cannot be read: .*--keep-going passes over such messages/)
  assert.ok(!fs.existsSync(file))
  const { file: kept, out } = await backup(t, server, '--keep-going')
  assert.match(out, /2 channels, 2004 messages.*whole\n1 messages are missing: the server could not read them/)
  assert.match(server.log, /a backup lacks message 3 of channel jobs, which cannot be read/)
  const { server: other } = await restored(t, kept)
  const reader = await StanClient.connect(other)
  assert.deepStrictEqual(sequences(await (await reader.subscribe('jobs')).queue.take(4)), [1, 2, 4, 5])
})

test('what can be read of the last that was written is served before anything else is', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  await client.store('jobs', 'one', 'two', 'the bad one')
  server.child.kill('SIGTERM')
  await server.ended
  scratch(server, 'the bad one')
  await server.launch()
  assert.match((await backup(t, server)).out, /1 channels, 2 messages.*whole/)
})

test('a request that nobody waits for begins nothing', async (t) => {
  const server = await start(t)
  const nc = await nats.connect({ servers: server.url })
  t.after(() => nc.close())
  nc.publish('$WEIR.API.V1.BACKUP')
  await nc.flush()
  await backup(t, server)
})

run({ atOnce: 3 })
