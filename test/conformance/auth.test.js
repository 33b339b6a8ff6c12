// SPDX-License-Identifier: Apache-2.0
// CO-S02, S03, S06, S07, X07, P14: the same configuration, and the same conversations, with Weir and with nats-server: what clients read must be
// the same, byte by byte, and the end of a connection too. Then other people's clients log in. Left out are the two places where
// Weir is stricter: permit_test.c has them.
'use strict'

const assert = require('assert')
const fs = require('fs')
const os = require('os')
const path = require('path')
const nats = require('nats')
const stan = require('node-nats-streaming')
const { test, run } = require('./lib/tap')
const { Certificates } = require('./lib/certificates')
const { Raw } = require('./lib/raw')
const { Server } = require('./lib/server')

const PEER = process.env.NATS_SERVER || '/usr/sbin/nats-server'
const NKEY = 'UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR'
// Of "secret".
const HASH = '$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW'

const files = []
process.on('exit', () => files.forEach((file) => fs.rmSync(file, { force: true })))

function configuration (text) {
  const file = path.join(os.tmpdir(), `weir-auth-${process.pid}-${files.length}.conf`)
  fs.writeFileSync(file, text)
  files.push(file)
  return file
}

/** Everything a client hears that says these things, up to the PONG of a PING behind them or "(closed)". */
async function listen (server, says) {
  const raw = await Raw.open(server)
  const heard = [raw.info.auth_required === true ? 'auth' : 'open', raw.info.nonce ? raw.info.nonce.length : 0]
  const end = raw.closed.then(() => 'closed')
  raw.send(says.join('') + 'PING\r\n')
  for (;;) {
    const line = await Promise.race([raw.line(), end])
    if (line === 'closed') return [...heard, ...await raw.end(), '(closed)']
    heard.push(line)
    if (line === 'PONG') break
  }
  raw.destroy()
  return heard
}

async function same (text, conversations) {
  const file = configuration(text)
  const ours = await Server.start(['-c', file])
  const theirs = await Server.start(['-c', file], { program: PEER })
  try {
    for (const says of conversations) {
      const [a, b] = await Promise.all([listen(ours, says), listen(theirs, says)])
      assert.deepStrictEqual(a, b, says.join(''))
    }
  } finally {
    await Promise.all([ours.stop(), theirs.stop()])
  }
}

const connect = (options) => 'CONNECT ' + JSON.stringify({ verbose: false, pedantic: false, ...options }) + '\r\n'
const as = (user, pass = user) => connect({ user, pass })

const LOGINS = [
  [], ['x'], ['cx\r\n'], ['SUB a 1\r\n'], [connect({})], [as('a')], [as('a', 'b')], [as('b', 'a')], [connect({ user: 'a' })], [connect({ pass: 'a' })],
  [connect({ auth_token: 'a' })], [connect({ auth_token: 'tt' })], [connect({ user: 'a', pass: 'a', auth_token: 'tt' })],
  [connect({ user: 'a', pass: 'a', account: 'x' })], [connect({ user: 'a', pass: 'x', protocol: 9 })], [connect({ user: 'a', pass: 'a', protocol: 9 })],
  [connect({ user: 'a', pass: 'a', verbose: true }), connect({ user: 'a', pass: 'x' })],
  [as('h', 'secret')], [as('h', 'Secret')], [as('h', HASH)], [as('h', '')], [as('e', '')], [as('e', 'x')], [as('n', '')],
  [connect({ nkey: NKEY })], [connect({ nkey: NKEY, sig: 'AAAA' })], [connect({ nkey: 'UABC' })], [as(NKEY, '')],
  [connect({ user: 'h', pass: 'secret', verbose: true }), 'SUB a 1\r\nPUB a 1\r\nx\r\n']
]

test('CO-S02 users with plain and hashed passwords are let in and refused alike', () => same(`
authorization { users = [ { user: a, password: a }, { user: h, password: "${HASH}" }, { user: e } ] }`, LOGINS))

test('CO-S02 a token', () => same('authorization { token: tt }', LOGINS))

test('CO-S02 a hashed token', () => same(`authorization { token: "${HASH}" }`, [[connect({ auth_token: 'secret' })], [connect({ auth_token: 'tt' })], [connect({})]]))

test('CO-S02 a single user', () => same('authorization { user: a, password: a }', LOGINS))

test('CO-S03 nkeys beside users', () => same(`authorization { users = [ { user: a, password: a }, { nkey: ${NKEY} } ] }`, LOGINS))

test('CO-S07 no_auth_user', () => same(`
no_auth_user: n
authorization { users = [ { user: a, password: a }, { user: n, password: n, permissions { publish: ok } }, { nkey: ${NKEY} } ] }`,
[...LOGINS, ['PUB ok 0\r\n\r\nPUB x 0\r\n\r\n'], [connect({}), 'PUB ok 0\r\n\r\nPUB x 0\r\n\r\n']]))

test('CO-S07 users of the system account do not shut out the others', () => same(
  'accounts { $SYS { users = [ { user: a, password: a } ] } }', LOGINS))

test('CO-S07 accounts', () => same('accounts { A { users = [ { user: a, password: a } ] }, B { users = [ { user: h, password: x } ] } }', LOGINS))

const PERMISSIONS = `
authorization {
  default_permissions { publish: "def.>", subscribe: "def.>" }
  users = [
    { user: a, password: a, permissions {
        publish { allow: ["foo.*", "bar", "_INBOX.>"], deny: ["foo.no"] }
        subscribe { allow: ["foo.*", "q.* v1.*", "m", "m g1"], deny: ["d.x"] } } }
    { user: b, password: b, permissions { publish { deny: "x.>" }, subscribe { deny: ["d.x", "w.*.c", "dq q1", "both", "both q1"] } } }
    { user: r, password: r, permissions { subscribe: ">", allow_responses: true } }
    { user: d, password: d }
    { user: f, password: f, permissions {} }
  ]
}`

const SUBJECTS = ['foo.a', 'foo.no', 'foo.a.b', 'foo.*', 'bar', 'foo..a', 'x.a', 'x.*', 'def.a', '_INBOX.a', 'a"b\\', '\u00e9\u20ac', '\u0001\u001f\u007f', '\u00a0\u2028', '_GR_.x', '$GR.x']
const REPLIES = ['', ' r', ' a..b', ' _R_.x', ' _R_.', ' $JS.ACK.x', ' $JS.x', ' _GR_.x']
const INTEREST = ['foo.a', 'foo.*', 'bar', 'bar qq', 'q.a', 'q.a v1.x', 'q.a v1.x.y', 'q.a v1.*', 'q.a v1.>', 'm', 'm g1', 'm g2', 'foo.a _sys_', 'foo..a', 'nope..a',
  'd.*', 'd.x', 'w.b.*', 'dq', 'dq q1', 'dq q2', 'both', 'both q1', 'both q2', '>', 'def.x', 'def.>']

test('CO-S06 CO-P14 permissions: what may be published', () => same(PERMISSIONS, ['a', 'b', 'r', 'd', 'f'].flatMap((user) => [
  [connect({ user, pass: user, verbose: true }), ...SUBJECTS.map((subject) => `PUB ${subject} 0\r\n\r\n`)],
  [connect({ user, pass: user, pedantic: true }), ...SUBJECTS.map((subject) => `PUB ${subject} 1\r\nx\r\n`)],
  [as(user), ...REPLIES.map((reply) => `PUB bar${reply} 0\r\n\r\n`)]
])))

test('CO-S06 CO-P14 permissions: what may be subscribed, and what arrives', () => same(PERMISSIONS, ['a', 'b', 'r', 'd', 'f'].flatMap((user) => [
  [connect({ user, pass: user, verbose: true }), ...INTEREST.map((interest, i) => `SUB ${interest} ${i}\r\n`)],
  ...INTEREST.map((interest) => [as(user), `SUB ${interest} 1\r\n`, ...['foo.a', 'd.x', 'd.y', 'dq', 'w.x.d'].map((subject) => `PUB ${subject} 0\r\n\r\n`)])
])))

// Where both servers mean the same: no subscription to `>` (see permit_test.c), and nothing is delivered.
test('CO-S06 random permissions', () => {
  let state = Number(process.env.SEED || 7)
  const below = (n) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return Math.floor(state / 4294967296 * n) }
  const subject = (words) => Array.from({ length: 1 + below(3) }, () => words[below(words.length)]).join('.')
  const rule = (queues) => {
    const text = subject(['a', 'b', 'c', '*']) + (below(5) ? '' : '.>')
    return queues && !below(3) ? `${text} ${subject(['q', 'r', '*'])}${below(4) ? '' : '.>'}` : text
  }
  const list = (queues) => JSON.stringify(Array.from({ length: 1 + below(12) }, () => rule(queues)))
  const rules = (queues) => '{ ' + [below(4) ? `allow: ${list(queues)}` : '', below(3) ? `deny: ${list(queues)}` : ''].filter(Boolean).join(', ') + ' }'
  const users = Array.from({ length: 20 }, (_, i) => `{ user: u${i}, password: p, permissions { publish ${rules(false)}, subscribe ${rules(true)} } }`)
  const talk = (i) => [connect({ user: `u${i}`, pass: 'p', verbose: true }), ...Array.from({ length: 60 }, (_, sid) => below(2)
    ? `PUB ${subject(['a', 'b', 'c'])} 0\r\n\r\n`
    : `SUB ${subject(['a', 'b', 'c', '*'])}${below(2) ? '' : ' ' + subject(['q', 'r', 's'])} ${sid}\r\n`)]
  return same(`authorization { users = [\n${users.join('\n')}\n] }`, users.map((_, i) => talk(i).filter((say) => !say.startsWith('PUB')))
    .concat(users.map((_, i) => talk(i).filter((say) => !say.startsWith('SUB')))))
})

test('CO-S06 answers that allow_responses lets through', () => same(PERMISSIONS, [
  [as('r'), 'SUB s 1\r\n', 'PUB s rep 0\r\n\r\n', 'PUB rep 0\r\n\r\n'],
  [as('f'), 'SUB s 1\r\n', 'PUB s rep 0\r\n\r\n', 'PUB rep 0\r\n\r\n']
]))

test('CO-X07 limits of accounts', () => same(`
max_payload: 2000
max_subscriptions: 3
accounts {
  A { users = [ { user: a, password: a } ], limits { max_subscriptions: 2, max_payload: 5 } }
  B { users = [ { user: b, password: b } ] }
}`, ['a', 'b'].flatMap((user) => [
  [connect({ user, pass: user, verbose: true }), 'SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nSUB d 4\r\nSUB d 4\r\n'],
  [as(user), 'PUB z 5\r\n12345\r\n', 'PUB z 6\r\n123456\r\n'],
  [as(user), `PUB z 2001\r\n${'x'.repeat(2001)}\r\n`]
])))

test('CO-X07 connections of an account', async () => {
  const file = configuration('accounts { A { users = [ { user: a, password: a } ], limits { max_connections: 2 } } }')
  for (const program of [undefined, PEER]) {
    const server = await Server.start(['-c', file], program ? { program } : {})
    const kept = [await Raw.connect(server, { user: 'a', pass: 'a' }), await Raw.connect(server, { user: 'a', pass: 'a' })]
    for (const raw of kept) assert.deepStrictEqual(await raw.flush(), [])
    const refused = await Raw.connect(server, { user: 'a', pass: 'a' })
    assert.deepStrictEqual(await refused.end(), ["-ERR 'maximum account active connections exceeded'"])
    kept[0].destroy()
    await kept[0].closed
    await kept[1].flush()
    const late = await Raw.connect(server, { user: 'a', pass: 'a' })
    assert.deepStrictEqual(await late.flush(), [])
    await server.stop()
  }
})

test('CO-S02 CO-P14 whoever says nothing is told and closed', async () => {
  const file = configuration('authorization { timeout: 0.2, users = [ { user: a, password: a } ] }')
  for (const program of [undefined, PEER]) {
    const server = await Server.start(['-c', file], program ? { program } : {})
    const raw = await Raw.open(server)
    assert.deepStrictEqual(await raw.end(), ["-ERR 'Authentication Timeout'"])
    await server.stop()
  }
})

test('CO-S06 an answer too many, and one to somebody else', async () => {
  const file = configuration(PERMISSIONS)
  for (const program of [undefined, PEER]) {
    const server = await Server.start(['-c', file], program ? { program } : {})
    const asker = await Raw.connect(server, { user: 'f', pass: 'f' })
    const service = await Raw.connect(server, { user: 'r', pass: 'r' })
    service.send('SUB s 1\r\n')
    await service.flush()
    asker.send('SUB rep.* 1\r\nPUB s rep.1 2\r\nhi\r\n')
    assert.strictEqual(await service.line(), 'MSG s 1 rep.1 2\r\nhi')
    service.send('PUB rep.2 0\r\n\r\nPUB rep.1 2\r\nyo\r\nPUB rep.1 0\r\n\r\n')
    assert.deepStrictEqual(await service.flush(), ["-ERR 'Permissions Violation for Publish to \"rep.2\"'", "-ERR 'Permissions Violation for Publish to \"rep.1\"'"])
    assert.strictEqual(await asker.line(), 'MSG rep.1 1 2\r\nyo')
    await server.stop()
  }
})

test('CO-X02 a reload lets stay who may, and takes away what he lost', async () => {
  const before = 'authorization { users = [ { user: a, password: a }, { user: b, password: b }, { user: c, password: c } ] }'
  const after = 'authorization { users = [ { user: a, password: a, permissions { subscribe { deny: "x" } } }, { user: b, password: changed } ] }'
  for (const program of [undefined, PEER]) {
    const file = configuration(before)
    const server = await Server.start(['-c', file], program ? { program } : {})
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((user) => Raw.connect(server, { user, pass: user })))
    for (const raw of [a, b, c]) raw.send('SUB x 1\r\nSUB y 2\r\n')
    for (const raw of [a, b, c]) await raw.flush()
    fs.writeFileSync(file, after)
    server.child.kill('SIGHUP')
    assert.deepStrictEqual(await b.end(), ["-ERR 'Authorization Violation'"])
    await c.end() // nats-server says nothing to a user who is gone
    assert.strictEqual(await a.line(), '-ERR \'Permissions Violation for Subscription to "x" (sid "1")\'')
    a.send('PUB x 0\r\n\r\nPUB y 0\r\n\r\n')
    assert.deepStrictEqual(await a.flush(), ['MSG y 2 0\r\n'])
    await server.stop()
  }
})

test('CO-S03 the npm client logs in: password, hash, token, nkey', async () => {
  const seed = nats.nkeys ? nats.nkeys.createUser() : require('nkeys.js').createUser()
  const users = await Server.start(['-c', configuration(`
authorization { users = [ { user: a, password: a }, { user: h, password: "${HASH}" }, { nkey: ${seed.getPublicKey()} } ] }`)])
  const token = await Server.start(['-c', configuration('authorization { token: "t t" }')])
  const flags = await Server.start(['--user', 'u', '--pass', 'p'])
  const logins = [
    { servers: users.url, user: 'a', pass: 'a' },
    { servers: users.url, user: 'h', pass: 'secret' },
    { servers: users.url, authenticator: nats.nkeyAuthenticator(seed.getSeed()) },
    { servers: token.url, token: 't t' },
    { servers: flags.url, user: 'u', pass: 'p' }
  ]
  for (const login of logins) {
    const connection = await nats.connect(login)
    const subscription = connection.subscribe('a', { max: 1 })
    connection.publish('a', nats.StringCodec().encode('hi'))
    for await (const message of subscription) assert.strictEqual(nats.StringCodec().decode(message.data), 'hi')
    await connection.close()
  }
  for (const wrong of [{ servers: users.url }, { servers: users.url, user: 'h', pass: 'a' }, { servers: token.url, token: 'x' }, { servers: flags.url, user: 'u', pass: 'x' }]) {
    await assert.rejects(nats.connect({ ...wrong, reconnect: false }), (error) => error.code === 'AUTHORIZATION_VIOLATION')
  }
  await Promise.all([users.stop(), token.stop(), flags.stop()])
})

test('CO-S01 the certificate says who it is', async () => {
  const made = new Certificates()
  made.authority('ca')
  made.sign('server', 'ca')
  made.sign('ann', 'ca')
  made.sign('bob', 'ca', { names: 'DNS:bob.example.com' })
  made.sign('carl', 'ca', { names: 'URI:urn:x' })
  made.sign('dora', 'ca')
  const file = made.write('map.conf', `
tls { cert_file: "${made.path('server.pem')}", key_file: "${made.path('server.key')}", ca_file: "${made.path('ca.pem')}", verify_and_map: true }
authorization { users = [
  { user: "ann@example.com", permissions { publish: ann } }
  { user: "bob.example.com", permissions { publish: bob } }
  { user: "CN=carl,OU=test,O=Weir", permissions { publish: carl } }
] }`)
  for (const program of [undefined, PEER]) {
    const server = await Server.start(['-c', file], program ? { program } : {})
    const login = (name, options = {}) => nats.connect({
      servers: `localhost:${server.port}`, reconnect: false, ...options, tls: { ca: made.read('ca.pem'), cert: made.read(`${name}.pem`), key: made.read(`${name}.key`) }
    })
    for (const name of ['ann', 'bob', 'carl']) {
      const connection = await login(name, { user: 'dora@example.com', pass: 'x' }).catch(() => login(name))
      const denied = (async () => { for await (const status of connection.status()) if (status.permissionContext) return status.permissionContext.subject })()
      connection.publish(name)
      connection.publish('another')
      assert.strictEqual(await denied, 'another')
      await connection.close()
    }
    await assert.rejects(login('dora'), (error) => error.code === 'AUTHORIZATION_VIOLATION')
    await server.stop()
  }
})

test('CO-S06 NATS Streaming for a user with permissions', async () => {
  const server = await Server.start(['-c', configuration(`
authorization { users = [
  { user: a, password: a, permissions { publish: ["_STAN.discover.>", "_STAN.pub.*.jobs", "_STAN.sub.>", "_STAN.ack.>", "_STAN.close.>", "_INBOX.>"], subscribe: ["_INBOX.>", "_STAN.acks.>"] } }
] }`)])
  const login = (id, pass) => {
    const client = stan.connect('test-cluster', id, { url: server.url, user: 'a', pass, reconnect: false, stanMaxPingOut: 3, connectTimeout: 5000 })
    return new Promise((resolve, reject) => {
      client.once('connect', () => resolve(client))
      client.once('error', reject)
    })
  }
  const client = await login('one', 'a')
  await new Promise((resolve, reject) => client.publish('jobs', 'hi', (error) => error ? reject(error) : resolve()))
  const subscription = client.subscribe('jobs', client.subscriptionOptions().setDeliverAllAvailable())
  const message = await new Promise((resolve) => subscription.once('message', resolve))
  assert.strictEqual(message.getData(), 'hi')
  client.close()
  await assert.rejects(login('two', 'b'))
  await server.stop()
})

test('CO-S02 secrets are in no log', async () => {
  const server = await Server.start(['-DV', '-c', configuration('authorization { users = [ { user: a, password: hush-hush } ] }')])
  const raw = await Raw.connect(server, { user: 'a', pass: 'hush-hush' })
  await raw.flush()
  await (await Raw.connect(server, { user: 'a', pass: 'hush-hush-not' })).end()
  await server.stop()
  assert.ok(/authentication error - User "a"/.test(server.log))
  assert.ok(!/hush/.test(server.log))
})

run()
