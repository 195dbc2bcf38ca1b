/** What is wrong with one field, in parts, so that a page, a table and a line of text can each show it their way. */
export interface FieldError {
  /** For people: `spec.groups[0].name`. Empty: the object itself. */
  path: string
  /** For programs: the same, as steps. */
  at: readonly (string | number)[]
  /** A phrase: `unknown field`, `must be an integer ≥ 1`. */
  message: string
  /** What stands there, shortened; never a secret. */
  found?: string
  /** What may stand there. */
  allowed?: string
  /** The nearest right spelling. */
  suggestion?: string
}

export function fieldError(
  at: readonly PropertyKey[],
  message: string,
  more: { found?: string | undefined; allowed?: string | undefined; suggestion?: string | undefined } = {},
): FieldError {
  const steps = at.map((step) => (typeof step === 'symbol' ? String(step) : step))
  return {
    path: pathText(steps),
    at: steps,
    message,
    ...(more.found === undefined ? {} : { found: more.found }),
    ...(more.allowed === undefined ? {} : { allowed: more.allowed }),
    ...(more.suggestion === undefined ? {} : { suggestion: more.suggestion }),
  }
}

/** `spec.worker: unknown field; did you mean "workers"?` */
export function formatFieldError(error: FieldError): string {
  return error.path === '' ? formatProblem(error) : `${error.path}: ${formatProblem(error)}`
}

/** The same without the path, for whoever shows that elsewhere. */
export function formatProblem(error: FieldError): string {
  const found = error.found === undefined ? '' : `, found ${error.found}`
  const allowed = error.allowed === undefined ? '' : `; allowed: ${error.allowed}`
  const suggestion = error.suggestion === undefined ? '' : `; did you mean "${error.suggestion}"?`
  return `${error.message}${found}${allowed}${suggestion}`
}

/** A value as an error shows it: one short line, whatever it is. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (value !== null && typeof value === 'object') return 'an object'
  if (typeof value !== 'string') return String(value)
  return printable(value)
}

/** Quoted, shortened, control characters escaped: a name in a file must not be able to drive a terminal. */
export function printable(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text
  return JSON.stringify(short).replace(unprintable, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

const unprintable = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

export function pathText(at: readonly (string | number)[]): string {
  let text = ''
  for (const step of at) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${printable(step)}]`
  }
  return text
}
