// SPDX-License-Identifier: Apache-2.0
// Lines over time, drawn by uPlot. A chart keeps its canvas while its values change.
import { h } from './dom.js'

const WINDOW_S = 120 // at least so long a time is shown
const COLOURS = ['--line-1', '--line-2', '--line-3']
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/**
 * A figure whose `show(times, lists)` draws: times in seconds, a list of values for each of the names. `write` makes a value readable.
 */
export function chart (title, names, write) {
  const place = h('div.plot')
  const legend = h('p.legend', {}, names.map((name, i) => h(`span.key.key-${i + 1}`, {}, name)))
  const figure = h('figure.chart', {}, h('figcaption', {}, title), place, legend)
  let plot = null
  const observer = new ResizeObserver(() => plot && plot.setSize({ width: place.clientWidth, height: 160 }))

  function make (data) {
    const axis = { stroke: style('--soft'), grid: { stroke: style('--edge'), width: 1 }, ticks: { stroke: style('--edge') }, font: '12px system-ui' }
    const options = {
      width: place.clientWidth || 300,
      height: 160,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: (self, low, high) => [Math.min(low, high - WINDOW_S), high] }, y: { range: (self, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, values: (self, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString('en-GB')), space: 80 }, { ...axis, size: 76, values: (self, ticks) => ticks.map((tick) => write(tick)) }],
      series: [{}, ...names.map((name, i) => ({ label: name, points: { show: false }, stroke: style(COLOURS[i]), width: 2, fill: i ? undefined : `${style(COLOURS[i])}22` }))]
    }
    plot = new window.uPlot(options, data, place)
    observer.observe(place)
  }

  figure.show = (times, lists) => {
    const last = lists.map((list) => list[list.length - 1])
    place.setAttribute('role', 'img')
    place.setAttribute('aria-label', `${title}: ${names.map((name, i) => `${name} ${last[i] === null || last[i] === undefined ? 'unknown' : write(last[i])}`).join(', ')}`)
    legend.querySelectorAll('.key').forEach((key, i) => { key.textContent = `${names[i]} ${last[i] === null || last[i] === undefined ? '–' : write(last[i])}` })
    if (!window.uPlot) return
    if (plot) plot.setData([times, ...lists])
    else if (place.isConnected) make([times, ...lists])
  }
  figure.restyle = () => {
    if (plot) plot.destroy()
    plot = null
  }
  figure.end = () => {
    observer.disconnect()
    figure.restyle()
  }
  return figure
}
