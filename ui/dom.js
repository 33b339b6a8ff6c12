// SPDX-License-Identifier: Apache-2.0
// Elements, tables, dialogs and how values are written. Text goes in as text nodes only: no name or payload can become markup.

/** h('a.quiet', { href, onclick, 'aria-label' }, children…). Children: nodes, text, numbers, lists; null and false are left out. */
export function h (tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split('.')
  const element = document.createElement(name)
  if (classes.length) element.className = classes.join(' ')
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (value === true) element.setAttribute(key, '')
    else element.setAttribute(key, value)
  }
  add(element, children)
  return element
}

function add (element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue
    element.append(child instanceof Node ? child : String(child))
  }
}

export function fill (element, ...children) {
  element.replaceChildren()
  add(element, children)
}

export const count = (value) => value === undefined ? '–' : value.toLocaleString('en')

export function bytes (value) {
  if (value === undefined) return '–'
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit++ }
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** Of milliseconds: 340 ms, 12 s, 3 min 20 s, 2 h 5 min, 4 d 3 h. */
export function age (ms) {
  if (ms === undefined) return '–'
  if (ms < 1000) return `${Math.round(ms)} ms`
  const steps = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]]
  let seconds = Math.floor(ms / 1000)
  const first = steps.findIndex(([, length]) => seconds >= length)
  const parts = []
  for (const [name, length] of steps.slice(first, first + 2)) {
    const number = Math.floor(seconds / length)
    seconds %= length
    if (number) parts.push(`${number} ${name}`)
  }
  return parts.join(' ')
}

export const rate = (value) => value === null ? '–' : `${value < 10 ? value.toFixed(1).replace('.0', '') : count(Math.round(value))}/s`

/** A time as the reader's own clock has it; the whole of it as a title. */
export function time (text) {
  if (!text) return '–'
  const at = new Date(text)
  return h('time', { datetime: text, title: text }, at.toLocaleString('en-GB', { dateStyle: 'short', timeStyle: 'medium' }))
}

/**
 * A table that scrolls by itself when the window is narrow. Columns: { title, cell (row → child), number, wide (left out when narrow) }.
 */
export function table (caption, columns, rows, empty = 'Nothing.') {
  if (!rows.length) return h('p.empty', {}, empty)
  const classes = (column) => [column.number && 'number', column.wide && 'wide'].filter(Boolean).join(' ') || null
  return h('div.scroll', { role: 'region', 'aria-label': caption, tabindex: '0' },
    h('table', {},
      h('caption', {}, caption),
      h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col', class: classes(column) }, column.title)))),
      h('tbody', {}, rows.map((row) => h('tr', {}, columns.map((column, i) =>
        h(i ? 'td' : 'th', { class: classes(column), scope: i ? null : 'row' }, column.cell(row))))))))
}

/** Terms and their values. */
export const facts = (pairs) => h('dl.facts', {}, pairs.filter(Boolean).map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))))

export const tile = (title, value, detail, kind = '') => h(`div.tile${kind && `.${kind}`}`, {}, h('span.title', {}, title), h('strong', {}, value), detail && h('span.detail', {}, detail))

export const badge = (text, kind = '') => h(`span.badge${kind && `.${kind}`}`, {}, text)

export function toast (text, kind = 'ok') {
  const element = h(`div.toast.${kind}`, {}, text)
  document.getElementById('toasts').append(element)
  setTimeout(() => element.remove(), kind === 'bad' ? 10000 : 4000)
}

/**
 * Asks with a form. Fields: { name, label, type, value, placeholder, required, options (for type "select") }. Resolves with the values, or with null
 * when it was given up.
 */
export function form (title, text, fields, action, { danger = false } = {}) {
  return new Promise((resolve) => {
    const inputs = fields.map((field) => {
      const attributes = { id: `field-${field.name}`, name: field.name, placeholder: field.placeholder, required: field.required, autocomplete: field.autocomplete || 'off' }
      return field.type === 'select'
        ? h('select', attributes, field.options.map(([value, label]) => h('option', { value, selected: value === field.value }, label)))
        : h('input', { ...attributes, type: field.type || 'text', value: field.value, min: field.type === 'number' ? '0' : null })
    })
    const element = h('dialog', { 'aria-labelledby': 'dialog-title' },
      h('form', { method: 'dialog' },
        h('h2', { id: 'dialog-title' }, title),
        text && h('p', {}, text),
        inputs.map((input, i) => h('label', { for: input.id }, fields[i].label, input)),
        h('div.actions', {},
          h('button', { type: 'button', class: 'quiet', onclick: () => element.close('') }, 'Cancel'),
          h(danger ? 'button.danger' : 'button', { value: 'yes' }, action))))
    element.addEventListener('close', () => {
      element.remove()
      resolve(element.returnValue === 'yes' ? Object.fromEntries(inputs.map((input) => [input.name, input.value.trim()])) : null)
    })
    document.body.append(element)
    element.showModal()
  })
}

/** Yes or no, about what cannot be undone. */
export const confirm = async (title, text, action) => (await form(title, text, [], action, { danger: true })) !== null
