// SPDX-License-Identifier: Apache-2.0
// Who one is, and how the connection is secured: libweir, `weir work` and `weir enqueue` at servers with users, tokens, nkeys and TLS. What is wrong is
// told for each server, soon, and without what is secret.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const nkeys = require('module').createRequire(require.resolve('../conformance/lib/stan_client'))('nkeys.js')
const { Certificates } = require('../conformance/lib/certificates')
const { Server, program } = require('../conformance/lib/server')
const { test, run } = require('../conformance/lib/tap')
const { unique, until, within } = require('../conformance/lib/wait')
const { Driver, RESULT } = require('./driver')

const SOON_MS = 20000 // the longest that is waited for here is 5 s; the rest is for a machine with other things to do
const PEER = process.env.NATS_SERVER || '/usr/sbin/nats-server'
const SECRET = 'not-to-be-shown'
const files = new Certificates()
const good = nkeys.createUser()
const bad = nkeys.createUser()
const servers = {}
let driver

const text = (bytes) => Buffer.from(bytes).toString()
const seedFile = (pair) => files.write(`${pair.getPublicKey()}.seed`, text(pair.getSeed()) + '\n')
const config = (words) => ['-c', files.write(`${unique('conf')}.conf`, words)]
const tls = (name, more = '') => config(`tls { cert_file: "${files.path(`${name}.pem`)}", key_file: "${files.path(`${name}.key`)}", timeout: 10 ${more} }\n`)
const ca = (name) => ({ tls: true, tls_ca_file: files.path(`${name}.pem`) })

function makeFiles () {
  files.authority('ca')
  files.authority('other')
  files.sign('server', 'ca')
  files.sign('expired', 'ca', { days: 0 })
  files.sign('named', 'ca', { names: 'DNS:elsewhere.example.com' })
  files.sign('client', 'ca')
  files.sign('stranger', 'other')
}

async function start () {
  makeFiles()
  driver = Driver.start()
  const flags = {
    open: [],
    user: ['--user', 'u', '--pass', SECRET],
    token: ['--auth', SECRET],
    nkey: config(`authorization { users: [ { nkey: ${good.getPublicKey()} } ] }\n`),
    tls: tls('server'),
    expired: tls('expired'),
    named: tls('named'),
    verified: tls('server', `, ca_file: "${files.path('ca.pem')}", verify: true`)
  }
  await Promise.all(Object.entries(flags).map(async ([name, words]) => { servers[name] = await Server.start(words) }))
}

async function stop () {
  await driver.stop()
  for (const server of Object.values(servers)) await server.stop()
}

/** [name, server, options of libweir, words of a command] */
const LOGINS = [
  ['user and password', 'user', { user: 'u', password: SECRET }, ['--user', 'u', '--password', SECRET]],
  ['token', 'token', { token: SECRET }, ['--token', SECRET]],
  ['nkey', 'nkey', () => ({ nkey_public: good.getPublicKey(), nkey_seed_file: seedFile(good) }), () => ['--nkey', seedFile(good)]],
  ['TLS', 'tls', () => ca('ca'), () => ['--tls', '--tlscacert', files.path('ca.pem')]],
  ['TLS whoever it is', 'expired', { tls: true, tls_insecure: true }, ['--tls', '--tlsskip']],
  ['TLS with a certificate of ours', 'verified', () => ({ ...ca('ca'), tls_cert_file: files.path('client.pem'), tls_key_file: files.path('client.key') }),
    () => ['--tlscacert', files.path('ca.pem'), '--tlscert', files.path('client.pem'), '--tlskey', files.path('client.key')]]
]
// With TLS 1.3 a server looks at our certificate when our side of the handshake is over. What is read then, if anything is, is a matter of luck.
const GONE = /may want a certificate|not know who signed it|alert|broke off|closed|reset|broken pipe/i
/** [name, server, options of libweir, words of a command (or none), what libweir says, what the commands say] */
const REFUSALS = [
  ['a wrong password', 'user', { user: 'u', password: `${SECRET}-x` }, ['--user', 'u', '--password', `${SECRET}-x`], /Authorization Violation/],
  ['no password', 'user', {}, [], /Authorization Violation/],
  ['a wrong token', 'token', { token: `${SECRET}-x` }, ['--token', `${SECRET}-x`], /Authorization Violation/],
  ['another nkey', 'nkey', () => ({ nkey_public: bad.getPublicKey(), nkey_seed_file: seedFile(bad) }), () => ['--nkey', seedFile(bad)], /Authorization Violation/],
  ['a seed file that is not there', 'nkey', () => ({ nkey_public: good.getPublicKey(), nkey_seed_file: files.path('none') }),
    () => ['--nkey', files.path('none')], /none.*: No such file/],
  ['a credentials file that is not there', 'nkey', () => ({ credentials_file: files.path('none') }), undefined, /none.*: No such file/],
  ['a wrong authority', 'tls', () => ca('other'), () => ['--tls', '--tlscacert', files.path('other.pem')], /unable to get local issuer certificate/],
  ['a certificate that has expired', 'expired', () => ca('ca'), () => ['--tls', '--tlscacert', files.path('ca.pem')], /certificate has expired/],
  ['a certificate for another name', 'named', () => ca('ca'), () => ['--tls', '--tlscacert', files.path('ca.pem')], /IP address mismatch/],
  ['a file of authorities that is not there', 'tls', () => ca('none'), () => ['--tls', '--tlscacert', files.path('none.pem')], /none\.pem/],
  ['TLS where there is none', 'open', () => ca('ca'), () => ['--tls', '--tlscacert', files.path('ca.pem')], /Secure Connection not available/, /the server has no TLS/],
  ['no certificate of ours', 'verified', () => ca('ca'), () => ['--tls', '--tlscacert', files.path('ca.pem')], GONE, GONE],
  ['a certificate of ours that somebody else signed', 'verified',
    () => ({ ...ca('ca'), tls_cert_file: files.path('stranger.pem'), tls_key_file: files.path('stranger.key') }),
    () => ['--tlscacert', files.path('ca.pem'), '--tlscert', files.path('stranger.pem'), '--tlskey', files.path('stranger.key')],
    GONE, GONE]
]
const value = (one) => (typeof one === 'function' ? one() : one)

/** An error's words, and how long it took. */
async function refusal (promise) {
  const begin = performance.now()
  try { await promise } catch (error) {
    assert.ok(performance.now() - begin < SOON_MS, `after ${performance.now() - begin} ms`)
    assert.ok(error.message.length > 10 && !error.message.includes(SECRET), error.message)
    return error
  }
  throw new Error('not refused')
}

/** A command of `weir` until it ends, or until its standard error says something. */
async function command (words, { input = '', says } = {}) {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] })
  const one = { out: '', err: '' }
  child.stdout.on('data', (data) => { one.out += data })
  child.stderr.on('data', (data) => { one.err += data })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const ended = new Promise((resolve) => child.once('close', (code) => { one.code = code; resolve() }))
  try {
    if (says) await until(() => says.test(one.err) || one.code !== undefined, `it says ${says}`, SOON_MS)
    if (says) child.kill('SIGTERM')
    await within(ended, words.join(' '), SOON_MS)
  } finally { child.kill('SIGKILL') }
  assert.ok(!(one.out + one.err).includes(SECRET), one.err)
  return one
}

for (const [name, at, options, words] of LOGINS) {
  test(`${name}: libweir, a fleet, weir enqueue and weir work get in`, async (t) => {
    const channel = unique('in')
    const client = await driver.connect(t, servers[at], value(options))
    await client.publish(channel, 'x')
    const fleet = await driver.fleet(t, [servers[at]], value(options))
    await fleet.publish(channel, 'y')
    const done = await command(['enqueue', '-s', servers[at].url, ...value(words), '--deadline', '10s', channel], { input: 'z' })
    assert.strictEqual(done.code, 0, done.err)
    const worked = await command(['work', channel, '--group', 'g', '-s', servers[at].url, ...value(words), '--log_format', 'json', '--', 'cat'],
      { says: /("outcome":"done"[^]*){3}/ })
    assert.strictEqual(worked.code, 0, worked.err)
    assert.strictEqual([...worked.out].sort().join(''), 'xyz', worked.err)
  })
}

for (const [name, at, options, words, says, commandSays = says] of REFUSALS) {
  test(`${name}: libweir says so`, async (t) => {
    const error = await refusal(driver.connect(t, servers[at], value(options)))
    assert.match(error.message, says)
    assert.doesNotMatch(error.message, /\.c:/)
    if (/Violation|expired|issuer|mismatch/.test(says.source)) assert.strictEqual(error.result, RESULT.AUTHORIZATION, error.message)
  })
  if (words === undefined) continue
  test(`${name}: weir enqueue and weir work say so, and of which server`, async () => {
    const where = new RegExp(`${servers[at].url.slice(7)}: .*(${commandSays.source})`)
    const done = await command(['enqueue', '-s', servers[at].url, ...value(words), '--deadline', '3s', 'jobs'], { input: 'x' })
    assert.strictEqual(done.code, 1, done.err)
    assert.match(done.err, where)
    const worked = await command(['work', 'jobs', '--group', 'g', '-s', servers[at].url, ...value(words), '--', 'cat'], { says: where })
    assert.match(worked.err, where)
    assert.strictEqual(worked.code, 0, worked.err) // it goes on trying until it is told to stop
  })
}

/** A token of `payload`, signed with `issuer`, as operators, accounts and users of NATS have them. */
function jwt (issuer, subject, name, nats) {
  const encode = (object) => Buffer.from(JSON.stringify(object)).toString('base64url')
  const body = { jti: unique('id'), iat: Math.floor(Date.now() / 1000), iss: issuer.getPublicKey(), name, sub: subject.getPublicKey(), nats: { ...nats, version: 2 } }
  const signed = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(body)}`
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url')}`
}

function credentials (name, token, user) {
  return files.write(name, `-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n\n` +
    `-----BEGIN USER NKEY SEED-----\n${text(user.getSeed())}\n------END USER NKEY SEED------\n`)
}

// Weir itself has no operators, so it is nats-server whose door opens; behind it is no NATS Streaming.
test('credentials with a JWT open the door of a server with operators, others do not', async (t) => {
  const [operator, account, other, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount(), nkeys.createUser()]
  const limits = { subs: -1, data: -1, payload: -1, conn: -1, imports: -1, exports: -1, wildcards: true }
  const peer = await Server.start(config(`operator: ${jwt(operator, operator, 'o', { type: 'operator' })}\nresolver: MEMORY\n` +
    `resolver_preload { ${account.getPublicKey()}: ${jwt(operator, account, 'a', { type: 'account', limits })} }\n`), { program: PEER })
  t.after(() => peer.stop())
  const as = (issuer) => ({ credentials_file: credentials(`${issuer.getPublicKey()}.creds`, jwt(issuer, user, 'u', { type: 'user', subs: -1, data: -1, payload: -1 }), user) })
  const inside = await refusal(driver.connect(t, peer, as(account)))
  assert.strictEqual(inside.result, RESULT.NO_CLUSTER, inside.message)
  const outside = await refusal(driver.connect(t, peer, as(other)))
  assert.strictEqual(outside.result, RESULT.AUTHORIZATION, outside.message)
})

test('a fleet works with the servers that let it in, and says of each other why not', async (t) => {
  const four = [servers.tls, servers.expired, servers.named, servers.verified]
  const fleet = await driver.fleet(t, four, { ...ca('ca'), user: 'u', password: SECRET })
  const error = await refusal(fleet.wait(4, 3000))
  for (const server of four.slice(1)) assert.ok(error.message.includes(server.url.slice(7)), error.message)
  await fleet.publish('jobs', 'x')
})

run({ before: start, after: stop })
