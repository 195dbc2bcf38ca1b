/** How long ago, as `kubectl` writes it: `42s`, `5m3s`, `3h12m`, `2d4h`, `87d`, `3y`. */
export function humanAge(timestamp: string | null | undefined, nowMs: number): string {
  const thenMs = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN
  return Number.isNaN(thenMs) ? '<unknown>' : cutOff(Math.max(0, nowMs - thenMs))
}

/** How long something takes, to the nearest of two units: `59m30s`, `21h42m`, `2d4h`. */
export function humanDuration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return twoUnits(seconds, 60, 'm', 's')
  const minutes = Math.round(ms / 60_000)
  if (minutes < 48 * 60) return twoUnits(minutes, 60, 'h', 'm')
  return twoUnits(Math.round(ms / 3_600_000), 24, 'd', 'h')
}

function twoUnits(count: number, of: number, large: string, small: string): string {
  return count < of ? `${count}${small}` : two(Math.floor(count / of), large, count % of, small)
}

/** The thresholds of k8s.io/apimachinery `duration.HumanDuration`: what is too short for the second unit is cut off. */
function cutOff(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  if (hours < 192) return two(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  const years = Math.floor(days / 365)
  return years < 8 ? two(years, 'y', days % 365, 'd') : `${years}y`
}

function two(first: number, firstUnit: string, second: number, secondUnit: string): string {
  return second === 0 ? `${first}${firstUnit}` : `${first}${firstUnit}${second}${secondUnit}`
}
