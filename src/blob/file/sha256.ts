import { createHash } from 'node:crypto'

/** Synchronous, so the same bytes give the same digest at the same moment in every world. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
