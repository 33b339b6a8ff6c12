// SPDX-License-Identifier: Apache-2.0
// The container of deploy/kubernetes, played: exactly the arguments, the configuration, the user and the file system that the rendered
// StatefulSet gives it; and the probes and the preStop command that the kubelet would run.
'use strict'

const assert = require('assert')
const { execFile, spawn } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { pick, render } = require('./lib/kubectl')
const { Pod, USERS } = require('./lib/pod')
const { test, run } = require('../conformance/lib/tap')
const { until, within } = require('../conformance/lib/wait')

const program = path.resolve(process.env.WEIR || path.join(__dirname, '../../build-debug/weir'))
const isRoot = process.getuid() === 0

/** { code, out } of a program. */
function call (command, args) {
  return within(new Promise((resolve) => {
    execFile(command, args, { encoding: 'utf8' }, (error, out, err) => resolve({ code: error ? error.code : 0, out: out + err }))
  }), `${command} ${args.join(' ')}`, 30000)
}

class Container {
  static async start (t, pod) {
    const made = new Container()
    made.pod = pod
    made.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-container-'))
    made.data = path.join(made.folder, 'data')
    pod.writeConfig(path.join(made.folder, 'config'))
    // As a volume with fsGroup: root's, writable for the group, which new files inherit.
    const { runAsUser, fsGroup } = pod.spec.securityContext
    fs.mkdirSync(made.data)
    if (isRoot) fs.chownSync(made.data, 0, fsGroup)
    fs.chmodSync(made.data, 0o2775)
    fs.chmodSync(made.folder, 0o755)
    made.log = ''
    made.child = spawn(path.join(__dirname, 'container'), [String(runAsUser), path.join(made.folder, 'config'), made.data, program, ...pod.args()],
      { stdio: ['ignore', 'ignore', 'pipe'] })
    made.child.stderr.on('data', (text) => { made.log += text })
    made.ended = new Promise((resolve) => made.child.once('close', (code, signal) => resolve({ code, signal })))
    t.after(async () => {
      made.child.kill('SIGKILL') // and with it what is inside
      await made.ended
      fs.rmSync(made.folder, { recursive: true, force: true })
    })
    made.ended.then(() => { made.over = true })
    await until(() => made.over || /Ready for clients/.test(made.log), 'the server starts', 30000)
    assert.ok(!made.over, made.log)
    return made
  }

  /** The server's process, which is 1 inside. */
  pid () {
    const { pid } = this.child
    return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  }

  enter (options, ...command) {
    const user = isRoot ? [] : ['--user', '--preserve-credentials']
    return call('nsenter', ['--target', this.pid(), ...user, ...options, '--', ...command])
  }

  /** Status of what a probe asks for. */
  async probe (name) {
    const { path: page, port } = this.pod.probe(name).httpGet
    const { out } = await this.enter(['--net'], 'curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', `http://127.0.0.1:${this.pod.port(port)}${page}`)
    return Number(out)
  }

  /** A command in the container, as its user. */
  exec (...command) {
    const { runAsUser, runAsGroup } = this.pod.spec.securityContext
    const user = isRoot ? ['--setuid', String(runAsUser), '--setgid', String(runAsGroup)] : []
    return this.enter(['--mount', '--net', '--pid', '--root', ...user], ...command)
  }

  /** What the kernel says of it. */
  status (field) {
    return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(fs.readFileSync(`/proc/${this.pid()}/status`, 'utf8'))[1]
  }
}

test('one server: it starts as it is, serves its users only, and stops at once', async (t) => {
  const pod = new Pod('one-server')
  const container = await Container.start(t, pod)
  for (const name of ['startup', 'liveness', 'readiness']) assert.strictEqual(await container.probe(name), 200, name)

  const client = (user, password) => container.enter(['--net'], program, 'pub', '-s', `nats://127.0.0.1:${pod.port('nats')}`, '--user', user, '--password', password, 'jobs', 'one')
  assert.deepStrictEqual((await client('app', USERS.app)).code, 0)
  assert.notStrictEqual((await client('app', 'guessed')).code, 0)
  const backup = async (user) => {
    const values = { WEIR_USER: user, WEIR_PASSWORD: USERS[user], POD_NAME: user }
    const args = pick(render('backup'), 'CronJob').spec.jobTemplate.spec.template.spec.containers[0].args
      .map((arg) => arg.replace(/\$\((\w+)\)/g, (all, name) => values[name]).replace('//weir-0:', '//127.0.0.1:').replace('/backups/', `${container.folder}/`))
    const { code } = await container.enter(['--net'], program, ...args)
    return [code === 0, fs.existsSync(args.at(-1))]
  }
  assert.deepStrictEqual([await backup('admin'), await backup('app')], [[true, true], [false, false]])

  const { out } = await container.enter(['--net'], 'curl', '-s', `http://127.0.0.1:${pod.port('monitor')}/varz`)
  assert.strictEqual(JSON.parse(out).server_name, 'weir-0')
  const [scraped] = pick(render('prometheus'), 'ServiceMonitor').spec.endpoints
  const metrics = await container.enter(['--net'], 'curl', '-s', '--fail', `http://127.0.0.1:${pod.port(scraped.port)}${scraped.path}`)
  assert.strictEqual(metrics.code, 0)
  assert.match(metrics.out, /^weir_/m)

  if (isRoot) {
    const { runAsUser } = pod.spec.securityContext
    assert.strictEqual(container.status('Uid').split('\t')[0], String(runAsUser))
    assert.match(container.status('CapEff'), /^0+$/)
    assert.strictEqual(fs.statSync(path.join(container.data, 'data')).uid, runAsUser)
  }
  assert.strictEqual(container.status('NoNewPrivs'), '1')
  assert.deepStrictEqual(fs.readdirSync(container.data), ['data']) // and nowhere else could it write anything
  assert.notStrictEqual((await container.exec('/bin/sh', '-c', 'true')).code, 0, 'there is no shell')

  process.kill(Number(container.pid()), 'SIGTERM')
  assert.deepStrictEqual(await within(container.ended, 'the server stops'), { code: 0, signal: null }, container.log)
})

test('three servers: preStop makes a lame duck, which SIGTERM does not hurry, and which goes when its last client has gone', async (t) => {
  const pod = new Pod('three-servers', 2)
  const container = await Container.start(t, pod)
  // A client that does not know what a lame duck is: it stays until it is closed.
  const pid = container.pid()
  const client = spawn('nsenter', ['--target', pid, ...(isRoot ? [] : ['--user', '--preserve-credentials']), '--net', '--', program, 'sub',
    '-s', `nats://127.0.0.1:${pod.port('nats')}`, '--user', 'app', '--password', USERS.app, 'jobs'], { stdio: 'ignore' })
  const left = new Promise((resolve) => client.once('close', resolve))
  t.after(() => client.kill('SIGKILL'))
  const varz = async () => JSON.parse((await container.enter(['--net'], 'curl', '-s', `http://127.0.0.1:${pod.port('monitor')}/varz`)).out)
  await until(async () => (await varz()).subscriptions > 0 && (await varz()).connections === 1, 'the client is there')

  const begin = performance.now()
  const { code, out } = await container.exec(...pod.container.lifecycle.preStop.exec.command)
  assert.deepStrictEqual([code, out], [0, ''])
  process.kill(Number(pid), 'SIGTERM')
  await until(async () => await container.probe('readiness') === 503, 'it is not ready any more')
  assert.strictEqual(await container.probe('liveness'), 200)
  await within(left, 'the client is closed')
  assert.deepStrictEqual(await within(container.ended, 'the server stops'), { code: 0, signal: null }, container.log)
  const took = (performance.now() - begin) / 1000
  assert.ok(took > 4.9, `its client was closed after ${took} s, before the grace period`) // --lame_duck_grace_period
  assert.ok(took < pod.spec.terminationGracePeriodSeconds)
})

run()
