import { OperatingError } from '../base/errors.ts'

/**
 * Kubernetes quantities: `500m`, `2`, `1.5`, `8Gi`, `1e3`. Counted in whole nano-units with BigInt, as Kubernetes does
 * ("no more precise than nano, rounded up"), so that 0.1 + 0.2 never decides whether a pod fits.
 */
export type ReadQuantity = { nano: bigint } | { problem: string }

/** Never throws: the caller decides what a bad one means. */
export function readQuantity(value: string | number): ReadQuantity {
  if (typeof value === 'number' && !Number.isFinite(value)) return { problem: 'is not a finite number' }
  const text = String(value)
  if (text.length > textMax) return { problem: `is longer than ${textMax} characters` }
  const match = pattern.exec(text)
  if (match === null) return { problem: `is not a quantity; write ${quantityForms}` }
  const [, sign, whole = '', fraction = '', binary, decimal, exponentText] = match
  if (whole === '' && fraction === '') return { problem: `is not a quantity; write ${quantityForms}` }
  const exponent = exponentText === undefined ? (decimalExponents.get(decimal ?? '') ?? 0) : Number(exponentText)
  const digits = BigInt(`${whole}${fraction}`)
  if (digits === 0n) return { nano: 0n }
  if (exponent > exponentMax || exponent < -exponentMax) return { problem: 'is beyond what any machine has' }
  const nano = scale(digits * (binaryFactors.get(binary ?? '') ?? 1n), exponent - fraction.length + 9)
  if (sign === '-') return { problem: 'is negative' }
  if (nano > nanoMax) return { problem: 'is beyond what any machine has' }
  return { nano }
}

/** CPU in thousandths of a core, rounded up as Kubernetes' MilliValue. Throws on what admission would refuse. */
export function milliOf(value: string | number): number {
  return Number(divideUp(nanoOf(value), 1_000_000n))
}

/** Memory in bytes, rounded up as Kubernetes' Value. Throws on what admission would refuse. */
export function bytesOf(value: string | number): number {
  return Number(divideUp(nanoOf(value), 1_000_000_000n))
}

/** A count that may be a fraction, such as accelerators of a container. Throws on what admission would refuse. */
export function countOf(value: string | number): number {
  return milliOf(value) / 1000
}

export function formatMilli(milli: number): string {
  return milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`
}

/** The shortest exact form: `8Gi`, `1536Mi`, `1000`. */
export function formatBytes(bytes: number): string {
  for (const [suffix, factor] of binaryUnitsDown) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${suffix}`
  }
  return String(bytes)
}

export const quantityForms = 'a number with an optional unit, e.g. 500m, 2, 1.5, 8Gi or 100M'

function nanoOf(value: string | number): bigint {
  const read = readQuantity(value)
  if ('nano' in read) return read.nano
  throw new OperatingError('invalid', 'give-up', `"${String(value).slice(0, textMax)}" ${read.problem}`)
}

const textMax = 64
const exponentMax = 30
/** Largest that still counts exactly in a number, in bytes: 2^53 − 1, about 9 petabytes. */
const nanoMax = BigInt(Number.MAX_SAFE_INTEGER) * 1_000_000_000n
const pattern = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?[0-9]{1,5}))?$/

const binaryFactors: ReadonlyMap<string, bigint> = new Map([
  ['Ki', 1n << 10n],
  ['Mi', 1n << 20n],
  ['Gi', 1n << 30n],
  ['Ti', 1n << 40n],
  ['Pi', 1n << 50n],
  ['Ei', 1n << 60n],
])
const binaryUnitsDown: readonly (readonly [string, number])[] = [...binaryFactors]
  .map(([suffix, factor]) => [suffix, Number(factor)] as const)
  .reverse()
const decimalExponents: ReadonlyMap<string, number> = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
])

/** `digits` × 10^`exponent`, rounded up. */
function scale(digits: bigint, exponent: number): bigint {
  return exponent >= 0 ? digits * tenTo(exponent) : divideUp(digits, tenTo(-exponent))
}

function tenTo(exponent: number): bigint {
  return BigInt(`1${'0'.repeat(exponent)}`)
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by
}
