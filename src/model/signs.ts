/** Whose signs of life are listened for, by the name under which they are (`base/liveness.ts`). */

/** A node's agent. */
export function nodeSign(node: string): string {
  return `node/${node}`
}

/** A pod's steps. */
export function stepsSign(uid: string): string {
  return `steps/${uid}`
}
