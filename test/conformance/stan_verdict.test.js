// SPDX-License-Identifier: Apache-2.0
// What goes beyond NATS Streaming: messages given back, extended and terminated over the ack inbox, deliveries that run out, dead
// letters, full channels that refuse, NATS headers. The unmodified node-nats-streaming is what subscribes and publishes.
'use strict'

const assert = require('assert')
const fs = require('fs')
const os = require('os')
const path = require('path')
const nats = require('nats')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { StanClient, message } = require('./lib/stan')
const { connect: connectTo, publish, subscribe } = require('./lib/stan_client')
const { event, unique, until } = require('./lib/wait')

const CONFIG = `
streaming {
  store_limits {
    channels {
      "twice.>"   { max_deliver: 2, dead_letter: dead }
      "patient.>" { backoff: [1500ms] }
      "full.>"    { max_msgs: 3, discard: new }
    }
  }
}
`
let server
const connect = (t, to = server) => connectTo(t, to)
const brief = (messages) => messages.map((one) => `${one.data}${'\''.repeat(one.count)}`)

async function start () {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-verdict-'))
  const file = path.join(directory, 'weir.conf')
  fs.writeFileSync(file, CONFIG)
  const started = await Server.start(['-sc', file])
  const stop = started.stop.bind(started)
  started.stop = async () => { await stop(); fs.rmSync(directory, { recursive: true, force: true }) }
  return started
}

/** Says something about messages, over the client's own connection. */
const say = (subscription, text) => subscription.stanConnection.nc.publish(subscription.ackInbox, text)

/** A durable subscription whose messages nobody acknowledges by itself, and these messages. */
async function begin (t, channel, payloads, options = {}, to = server) {
  const client = await connect(t, to)
  for (const data of payloads) await publish(client, channel, data)
  const subscription = await subscribe(client, channel, { durable: 'd', manual: true, all: true, ackWait: 30000, ...options })
  return { client, subscription, got: await subscription.queue.take(payloads.length) }
}

/** The header fields of the messages of a channel, and their data, from the first on. */
async function read (t, channel, count, to = server) {
  const client = await StanClient.connect(to)
  t.after(() => client.leave())
  const inbox = nats.createInbox()
  const got = []
  client.nc.subscribe(inbox, { callback: (error, raw) => { if (!error) got.push(raw) } })
  const { pb, START } = require('./lib/stan')
  const request = message('SubscriptionRequest', { clientId: client.id, subject: channel, inbox, maxInFlight: 100, ackWaitInSecs: 30, startPosition: START.FIRST })
  await client.nc.request(client.response.getSubRequests(), request)
  await until(() => got.length >= count, `${count} messages of ${channel}`)
  return got.map((raw) => ({
    headers: raw.headers ? Object.fromEntries([...raw.headers.keys()].map((name) => [name, raw.headers.get(name)])) : {},
    data: Buffer.from(pb.MsgProto.deserializeBinary(raw.data).getData_asU8()).toString()
  }))
}

test('a message that is given back comes again at once, and is counted', async (t) => {
  const { subscription } = await begin(t, unique('nak'), ['a', 'b'])
  say(subscription, '-NAK 1')
  assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['a\''])
  say(subscription, '-NAK 1')
  assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['a\'\''])
})

test('given back without counting, it comes as if it were the first time', async (t) => {
  const { subscription } = await begin(t, unique('nak'), ['a'])
  for (let i = 0; i < 3; i++) {
    say(subscription, '-NAK 1 {"count": false}')
    assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['a'])
  }
})

test('given back with a delay, it comes after that, whoever else does meanwhile', async (t) => {
  for (const delay of ['"3s"', '3000000000']) {
    const channel = unique('nak')
    const { client, subscription } = await begin(t, channel, ['a'], { maxInFlight: 1 })
    const began = performance.now()
    say(subscription, `-NAK 1 {"delay": ${delay}}`)
    await publish(client, channel, 'b')
    assert.deepStrictEqual(brief(await subscription.queue.take(2)), ['b', 'a\''])
    assert.ok(performance.now() - began > 2980)
  }
})

test('everything that a worker has is given back in one word', async (t) => {
  const { subscription } = await begin(t, unique('nak'), ['a', 'b', 'c'], { group: 'q' })
  subscription.queue.items = []
  say(subscription, '-NAK {"count": false}')
  assert.deepStrictEqual(brief(await subscription.queue.take(3)).sort(), ['a', 'b', 'c'])
})

test('what is in progress does not come again, as long as somebody says so', async (t) => {
  const { subscription } = await begin(t, unique('wpi'), ['a', 'b'], { ackWait: 4000 })
  const timer = setInterval(() => say(subscription, '+WPI 1'), 200)
  t.after(() => clearInterval(timer))
  assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['b\''])
  clearInterval(timer)
  await until(() => subscription.queue.items.some((one) => one.data === 'a'), 'the other one comes when nobody says so any more')
})

test('what is terminated does not come again', async (t) => {
  const channel = unique('term')
  const { subscription } = await begin(t, channel, ['a', 'b'], { ackWait: 1000 })
  say(subscription, '+TERM 1 not for us')
  assert.deepStrictEqual(brief(await subscription.queue.take(2)), ['b\'', 'b\'\''])
  assert.ok(!subscription.queue.items.some((one) => one.data === 'a'))
})

test('nonsense and acknowledgements are told apart from it', async (t) => {
  const channel = unique('nonsense')
  const { client, subscription, got } = await begin(t, channel, ['a', 'b'], { ackWait: 1000 })
  for (const text of ['+TERM', '-NAK 1 {', '+WPI x', '-NAKED 1', 'hello']) say(subscription, text)
  got[0].ack()
  await publish(client, unique('other'), 'a round trip')
  assert.deepStrictEqual(brief(await subscription.queue.take(2)), ['b\'', 'b\'\''])
})

test('deliveries run out, and a dead letter tells its story', async (t) => {
  const channel = unique('twice.jobs')
  const { client, subscription } = await begin(t, channel, ['bad', 'good'], { group: 'workers', ackWait: 1000 })
  say(subscription, '-NAK 1')
  assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['bad\''])
  say(subscription, '-NAK 1')
  say(subscription, '+TERM 2 too late')
  const letters = (await read(t, 'dead', 2)).filter((one) => one.headers['Weir-Dead-Stream'] === channel)
  assert.deepStrictEqual(letters.map((one) => one.data).sort(), ['bad', 'good'])
  const [bad, good] = ['bad', 'good'].map((data) => letters.find((one) => one.data === data).headers)
  assert.deepStrictEqual([bad['Weir-Dead-Sequence'], bad['Weir-Dead-Attempts'], bad['Weir-Dead-Reason'], bad['Weir-Dead-Text']], ['1', '2', 'max_deliver', undefined])
  assert.deepStrictEqual([good['Weir-Dead-Sequence'], good['Weir-Dead-Attempts'], good['Weir-Dead-Reason'], good['Weir-Dead-Text']], ['2', '1', 'terminated', 'too late'])
  for (const one of [bad, good]) {
    assert.deepStrictEqual([one['Weir-Dead-Group'], one['Weir-Dead-Durable'], one['Weir-Dead-Client'], one['Weir-Dead-Hops']], ['workers', 'd', client.clientID, '1'])
    assert.ok(Math.abs(Date.parse(one['Weir-Dead-Time']) - Date.now()) < 60000)
  }
})

test('a channel can wait longer each time', async (t) => {
  const { subscription } = await begin(t, unique('patient.jobs'), ['a'], { ackWait: 1000 })
  const began = performance.now()
  assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['a\''])
  assert.ok(performance.now() - began > 1400)
})

test('a full channel refuses what comes, and drops only what is finished', async (t) => {
  const channel = unique('full.jobs')
  const { client, got } = await begin(t, channel, ['a', 'b', 'c'])
  await assert.rejects(publish(client, channel, 'd'), /the channel is full of messages that are not acknowledged/)
  got[0].ack()
  await until(async () => { try { await publish(client, channel, 'd'); return true } catch { return false } }, 'there is room')
  await assert.rejects(publish(client, channel, 'e'), /the channel is full/)
})

test('headers stay with a message; who takes none sees nothing of them', async (t) => {
  const channel = unique('headers')
  const client = await StanClient.connect(server)
  t.after(() => client.leave())
  const headers = nats.headers()
  headers.set('Trace', '7')
  const bytes = message('PubMsg', { clientId: client.id, connId: client.connId, guid: 'g', subject: channel, data: Buffer.from('x') })
  await client.nc.request(`${client.prefix}.${channel}`, bytes, { timeout: 15000, headers })
  await client.store(channel, 'y')
  assert.deepStrictEqual(await read(t, channel, 2), [{ headers: { Trace: '7' }, data: 'x' }, { headers: {}, data: 'y' }])
  const plain = await subscribe(await connect(t), channel, { all: true })
  assert.deepStrictEqual((await plain.queue.take(2)).map((one) => one.data), ['x', 'y'])
})

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`ST-B12 what was said about messages, and headers, outlive the server (${signal})`, async (t) => {
    const own = await start()
    t.after(() => own.stop())
    const { client, subscription } = await begin(t, 'twice.x', ['delayed', 'uncounted', 'dead', 'counted'], { group: 'q' }, own)
    const began = performance.now()
    say(subscription, '-NAK 1 {"delay": "5s"}')
    say(subscription, '-NAK 2 {"count": false, "delay": "5s"}')
    say(subscription, '+TERM 3 because')
    say(subscription, '-NAK 4')
    assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['counted\''])
    await publish(client, 'other', 'everything before is in the log')
    const back = event(client, 'reconnect')
    await until(() => performance.now() - began > 4500, 'most of the delay is over')
    await own.restart(signal)
    await back
    assert.deepStrictEqual(brief(await subscription.queue.take(2)), ['delayed\'', 'uncounted'])
    const took = performance.now() - began
    assert.ok(took > 4900 && took < 9400, `it came after ${took} ms: a delay goes on running while the server is down`)
    say(subscription, '-NAK')
    assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['uncounted\''])
    const letters = await read(t, 'dead', 3, own)
    assert.deepStrictEqual(letters.map((one) => one.data).sort(), ['counted', 'dead', 'delayed'])
    assert.strictEqual(letters.find((one) => one.data === 'dead').headers['Weir-Dead-Text'], 'because')
  })
}

run({
  before: async () => { server = await start() },
  after: () => server.stop()
})
