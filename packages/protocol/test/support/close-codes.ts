/** The codes that a Close frame may have: RFC 6455 §7.4 and the IANA registry. */
const REGISTERED = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];

export function isAllowedCode(code: number): boolean {
  return REGISTERED.includes(code) || (code >= 3000 && code < 5000);
}
