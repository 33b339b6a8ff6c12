// SPDX-License-Identifier: Apache-2.0
// What the kubelet makes of a container's probes: liveness and readiness are not asked before startup has succeeded once; failures in a
// row up to the threshold restart the container or take it out of its services.
'use strict'

/** One probe's counters. `ask` gives an HTTP status, or 0 for no answer. */
class Probe {
  constructor (spec, ask) {
    this.spec = spec
    this.ask = ask
    this.failures = 0
    this.asked = 0
  }

  /** Asks once: 'success', 'failure' (the threshold is reached) or 'unsure'. */
  async step () {
    this.asked++
    const status = await this.ask(this.spec.httpGet.path)
    if (status >= 200 && status < 400) {
      this.failures = 0
      return 'success'
    }
    return ++this.failures >= (this.spec.failureThreshold || 3) ? 'failure' : 'unsure'
  }
}

class Kubelet {
  /** `probes`: those of a container; `speed`: how many times faster than in a cluster the time passes. */
  constructor (probes, ask, speed = 1) {
    this.probes = Object.fromEntries(Object.entries(probes).filter(([, spec]) => spec).map(([name, spec]) => [name, new Probe(spec, ask)]))
    this.speed = speed
    this.started = !this.probes.startup
    this.ready = false
    this.killed = false
    this.loops = []
  }

  /** Asks each probe in its period until stop(). */
  run () {
    for (const name of Object.keys(this.probes)) this.loops.push(this.repeat(name))
  }

  async repeat (name) {
    const probe = this.probes[name]
    while (!this.over && !(name === 'startup' && this.started)) {
      if (this.started || name === 'startup') this.take(name, await probe.step())
      await new Promise((resolve) => setTimeout(resolve, (probe.spec.periodSeconds || 10) * 1000 / this.speed))
    }
  }

  take (name, result) {
    if (name === 'readiness') this.ready = result === 'success' || (this.ready && result === 'unsure')
    else if (result === 'failure') this.killed = true
    else if (name === 'startup' && result === 'success') this.started = true
  }

  async stop () {
    this.over = true
    await Promise.all(this.loops)
  }
}

module.exports = { Kubelet }
