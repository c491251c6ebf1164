import refuse from "./browser.cjs";

// oxlint-disable-next-line import/no-default-export -- it is what programs import
export default refuse;
