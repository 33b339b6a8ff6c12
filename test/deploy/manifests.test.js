// SPDX-License-Identifier: Apache-2.0
// deploy/kubernetes without a cluster: two versions of kubectl render the same, the API's schemas take each object, and what refers to
// something refers to something that is there.
'use strict'

const assert = require('assert')
const { execFileSync } = require('child_process')
const fs = require('fs')
const path = require('path')
const yaml = require('yaml')
const { ROOT, FOLDER, OLD, NEW, overlays, kustomize, render, pick, version } = require('./lib/kubectl')
const { faults } = require('./lib/schema')
const { test, run } = require('../conformance/lib/tap')

const SERVERS = ['one-server', 'three-servers', 'example']

const container = (object) => object.spec.template.spec.containers[0]
const matches = (selector, labels) => Object.entries(selector).every(([key, value]) => labels[key] === value)
const portNames = (object) => container(object).ports.map((port) => port.name)

/** The value after a flag of a container. */
function flag (object, name) {
  const { args } = container(object)
  assert.ok(args.includes(name), `${name} is in the arguments`)
  return args[args.indexOf(name) + 1]
}

/** A duration of seconds, such as 10s. */
const seconds = (text) => Number(/^(\d+)s$/.exec(text)[1])

/** What a stop may take with a disk that hangs (src/cmd/serve_stop.h), in seconds. */
function longestStop () {
  const header = fs.readFileSync(path.join(ROOT, 'src/cmd/serve_stop.h'), 'utf8')
  const constant = (name) => Number(new RegExp(`#define ${name} (\\d+)`).exec(header)[1])
  return (constant('SERVE_STOP_MS') + constant('SERVE_STOP_HUNG_MS')) / 1000 + constant('SERVE_STOP_LAST_S')
}

for (const overlay of overlays()) {
  test(`${overlay}: Debian's kubectl and a current one render the same`, () => {
    assert.strictEqual(kustomize(overlay, OLD), kustomize(overlay, NEW))
  })

  test(`${overlay}: the API's schemas take each object`, () => {
    const objects = render(overlay)
    assert.ok(objects.length > 0)
    for (const object of objects) {
      assert.deepStrictEqual(faults(object), [], `${object.kind} ${object.metadata.name}`)
      if (object.kind !== 'Namespace') assert.strictEqual(object.metadata.namespace, 'weir', object.kind)
    }
  })
}

test('the two kubectl are old and current', () => {
  assert.match(version(OLD), /^v1\.20\./)
  assert.ok(Number(/^v1\.(\d+)/.exec(version(NEW))[1]) >= 35, version(NEW))
})

test('a misspelt field and a wrong type are found, in what is built in and in what is not', () => {
  const set = pick(render('three-servers'), 'StatefulSet')
  set.spec.replicas = '3'
  container(set).readinessProb = {}
  set.spec.template.spec.securityContext.seccomp = {}
  assert.deepStrictEqual(faults(set).map((fault) => fault.replace(/.*\//, '')).sort(),
    ['readinessProb: no such field', 'replicas must be integer', 'seccomp: no such field'])
  const scaled = pick(render('keda'), 'ScaledObject')
  scaled.spec.triggers[0].tipe = 'x'
  assert.strictEqual(faults(scaled).length, 1)
})

for (const overlay of SERVERS) {
  const objects = render(overlay)
  const set = pick(objects, 'StatefulSet', 'weir')
  const { spec: pod, metadata: { labels } } = set.spec.template
  const pods = Array.from({ length: set.spec.replicas }, (_, i) => `weir-${i}`)

  test(`${overlay}: selectors find the pods, and ports are there`, () => {
    assert.ok(matches(set.spec.selector.matchLabels, labels))
    for (const service of objects.filter((object) => object.kind === 'Service')) {
      const { 'statefulset.kubernetes.io/pod-name': name, ...rest } = service.spec.selector
      assert.ok(matches(rest, labels), service.metadata.name)
      assert.strictEqual(name, service.metadata.name === 'weir-pods' ? undefined : service.metadata.name)
      for (const port of service.spec.ports) assert.ok(portNames(set).includes(port.targetPort), port.targetPort)
    }
    assert.ok(matches(pick(objects, 'PodDisruptionBudget').spec.selector.matchLabels, labels))
    const policy = pick(objects, 'NetworkPolicy').spec
    assert.ok(matches(policy.podSelector.matchLabels, labels))
    const open = policy.ingress.flatMap((rule) => rule.ports.map((port) => port.port))
    assert.deepStrictEqual(open.sort(), portNames(set).sort())
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      assert.ok(portNames(set).includes(container(set)[probe].httpGet.port), probe)
    }
  })

  test(`${overlay}: one name and one volume for each server, and a headless service for the pods`, () => {
    const names = objects.filter((object) => object.kind === 'Service').map((object) => object.metadata.name)
    assert.deepStrictEqual(names.sort(), [...pods, 'weir-pods'])
    const headless = pick(objects, 'Service', set.spec.serviceName)
    assert.deepStrictEqual([headless.spec.clusterIP, headless.spec.publishNotReadyAddresses], ['None', true])
    assert.deepStrictEqual(set.spec.volumeClaimTemplates.map((claim) => [claim.metadata.name, claim.spec.accessModes]), [['data', ['ReadWriteOnce']]])
  })

  test(`${overlay}: what the server writes to is a volume, and all else is read-only`, () => {
    const mounts = container(set).volumeMounts
    const within = (file) => mounts.find((mount) => file.startsWith(`${mount.mountPath}/`))
    const config = pick(objects, 'ConfigMap', 'weir-config').data['weir.conf']
    assert.strictEqual(within(/^ +dir: (\S+)$/m.exec(config)[1]).name, 'data')
    assert.strictEqual(within(flag(set, '-c')).readOnly, true)
    const sources = pod.volumes.find((volume) => volume.name === within(flag(set, '-c')).name).projected.sources
    assert.deepStrictEqual(sources, [{ configMap: { name: 'weir-config' } }, { secret: { name: 'weir-users' } }])
    assert.strictEqual(container(set).securityContext.readOnlyRootFilesystem, true)
    assert.strictEqual(pod.securityContext.fsGroup, pod.securityContext.runAsGroup)
  })

  test(`${overlay}: a start has days, and liveness knows nothing of readiness`, () => {
    const { startupProbe: startup, livenessProbe: liveness, readinessProbe: readiness } = container(set)
    assert.ok(startup.periodSeconds * startup.failureThreshold >= 7 * 24 * 3600)
    assert.deepStrictEqual([startup.httpGet.path, liveness.httpGet.path, readiness.httpGet.path], ['/', '/', '/healthz'])
    assert.ok(liveness.periodSeconds * liveness.failureThreshold >= 60)
  })

  test(`${overlay}: the grace period is longer than lame duck and stop together`, () => {
    const { lifecycle } = container(set)
    assert.strictEqual(Boolean(lifecycle), set.spec.replicas > 1)
    const lame = lifecycle ? seconds(flag(set, '--lame_duck_duration')) : 0
    assert.ok(seconds(flag(set, '--lame_duck_grace_period')) < seconds(flag(set, '--lame_duck_duration')))
    assert.ok(pod.terminationGracePeriodSeconds > lame + longestStop(), `${lame} + ${longestStop()}`)
    if (lifecycle) assert.deepStrictEqual(lifecycle.preStop.exec.command, ['/usr/local/bin/weir', '-sl', 'ldm'])
  })

  test(`${overlay}: one server at a time`, () => {
    assert.deepStrictEqual([set.spec.updateStrategy.type, set.spec.podManagementPolicy], ['RollingUpdate', 'Parallel'])
    assert.strictEqual(pick(objects, 'PodDisruptionBudget').spec.maxUnavailable, 1)
    if (set.spec.replicas === 1) return
    assert.ok(set.spec.minReadySeconds > 0)
    const [apart] = pod.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution
    assert.ok(apart.topologyKey === 'kubernetes.io/hostname' && matches(apart.labelSelector.matchLabels, labels))
    const [spread] = pod.topologySpreadConstraints
    assert.ok(spread.topologyKey === 'topology.kubernetes.io/zone' && matches(spread.labelSelector.matchLabels, labels))
  })
}

test('one server grows into three: the first keeps its name, its volume and its selectors', () => {
  const [one, three] = ['one-server', 'three-servers'].map((overlay) => pick(render(overlay), 'StatefulSet'))
  for (const field of ['serviceName', 'selector', 'podManagementPolicy', 'volumeClaimTemplates']) {
    assert.deepStrictEqual(one.spec[field], three.spec[field], field) // what an API server does not let anybody change
  }
})

test('pods have no rights that they do not need', () => {
  const specs = overlays().flatMap(render).map((object) => object.spec && (object.spec.jobTemplate || object).spec)
  const pods = specs.filter((spec) => spec && spec.template).map((spec) => spec.template.spec)
  assert.ok(pods.length >= 5)
  for (const pod of pods) {
    assert.strictEqual(pod.automountServiceAccountToken, false)
    assert.strictEqual(pod.securityContext.runAsNonRoot, true)
    assert.ok(pod.securityContext.runAsUser >= 10000)
    assert.strictEqual(pod.securityContext.seccompProfile.type, 'RuntimeDefault')
    for (const one of [...pod.containers, ...(pod.initContainers || [])]) {
      assert.deepStrictEqual(one.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
      assert.ok(one.resources.requests.memory && one.resources.requests.cpu && one.resources.limits.memory, 'resources')
    }
  }
})

test('the worker asks the servers that are there, and the network policy lets it', () => {
  const objects = render('example')
  const worker = pick(objects, 'Deployment', 'worker')
  const servers = objects.filter((object) => object.kind === 'Service' && object.spec.clusterIP !== 'None')
  assert.deepStrictEqual(flag(worker, '--servers').split(','), servers.map((server) => `nats://${server.metadata.name}:4222`))
  assert.strictEqual(flag(worker, '--cid'), /cluster_id: (\S+)/.exec(pick(objects, 'ConfigMap').data['weir.conf'])[1])
  const clients = pick(objects, 'NetworkPolicy').spec.ingress.find((rule) => rule.ports[0].port === 'nats')
  assert.ok(matches(clients.from[0].podSelector.matchLabels, worker.spec.template.metadata.labels))
})

test('the worker is asked how it is, and has more time to end than its jobs', () => {
  const worker = pick(render('worker'), 'Deployment')
  const { ports, livenessProbe, readinessProbe } = container(worker)
  assert.deepStrictEqual(ports.map((port) => [port.name, String(port.containerPort)]), [['monitor', flag(worker, '--http')]])
  assert.deepStrictEqual([livenessProbe, readinessProbe].map((probe) => [probe.httpGet.path, probe.httpGet.port]), [['/healthz', 'monitor'], ['/readyz', 'monitor']])
  assert.ok(worker.spec.template.spec.terminationGracePeriodSeconds >= seconds(flag(worker, '--grace')) + 10)
  const { env, args } = container(worker)
  const used = args.flatMap((arg) => [...arg.matchAll(/\$\((\w+)\)/g)].map(([, name]) => name))
  assert.deepStrictEqual(used.sort(), env.map((one) => one.name).sort())
})

test('each server is backed up, by whom the network policy lets in', () => {
  const { template } = pick(render('backup'), 'CronJob').spec.jobTemplate.spec
  const objects = render('three-servers')
  const servers = objects.filter((object) => object.kind === 'Service' && object.spec.clusterIP !== 'None')
  assert.deepStrictEqual(template.spec.containers.map((one) => one.args[2]), servers.map((server) => `nats://${server.metadata.name}:4222`))
  assert.strictEqual(new Set(template.spec.containers.map((one) => one.args.at(-1))).size, servers.length)
  const clients = pick(objects, 'NetworkPolicy').spec.ingress.find((rule) => rule.ports[0].port === 'nats')
  assert.ok(matches(clients.from[0].podSelector.matchLabels, template.metadata.labels))
})

test('Prometheus scrapes each server once', () => {
  const { selector, endpoints } = pick(render('prometheus'), 'ServiceMonitor').spec
  const services = render('three-servers').filter((object) => object.kind === 'Service' && matches(selector.matchLabels, object.metadata.labels))
  assert.deepStrictEqual(services.map((service) => service.metadata.name), ['weir-pods'])
  assert.deepStrictEqual(endpoints.map((endpoint) => [endpoint.port, endpoint.path]), [['monitor', '/metrics']])
  assert.ok(services[0].spec.ports.some((port) => port.name === 'monitor'))
})

test('what the documentation makes of the alert rules is a PrometheusRule', () => {
  const text = fs.readFileSync(path.join(ROOT, 'docs/kubernetes.md'), 'utf8')
  const command = /^ +(\{ printf .*alerts\.yaml; \}) \| kubectl apply -f -$/m.exec(text)[1]
  const rule = yaml.parse(execFileSync('sh', ['-c', command], { cwd: ROOT, encoding: 'utf8' }))
  assert.deepStrictEqual(faults(rule), [])
  assert.ok(rule.kind === 'PrometheusRule' && rule.spec.groups.length > 0)
})

for (const [overlay, type] of [['keda', 'nats-jetstream'], ['keda-stan', 'stan']]) {
  test(`${overlay}: TL-02 TL-11 each server is asked for the queue of the worker`, () => {
    const scaled = pick(render(overlay), 'ScaledObject').spec
    assert.strictEqual(scaled.scaleTargetRef.name, pick(render('worker'), 'Deployment').metadata.name)
    const hosts = ['weir-0', 'weir-1', 'weir-2'].map((name) => `${name}.weir.svc:8222`)
    assert.deepStrictEqual(scaled.triggers.map((trigger) => trigger.metadata.natsServerMonitoringEndpoint), hosts)
    const worker = pick(render('worker'), 'Deployment')
    const [channel, group, durable] = [container(worker).args[1], flag(worker, '--group'), flag(worker, '--durable')]
    const code = fs.readFileSync(path.join(FOLDER, 'worker/worker.js'), 'utf8') // the worker in a language of its own is of the same group
    assert.ok(code.includes(`subscribe('${channel}', '${group}'`) && code.includes(`setDurableName('${durable}')`))
    for (const { type: found, metadata } of scaled.triggers) {
      assert.strictEqual(found, type)
      if (type === 'stan') assert.deepStrictEqual([metadata.subject, metadata.durableName, metadata.queueGroup], [channel, durable, group])
      else assert.deepStrictEqual([metadata.account, metadata.stream, metadata.consumer], ['$G', channel.replace('.', '%2E'), `${durable}:${group}`])
    }
  })
}

run()
