import "@fontsource-variable/ibm-plex-sans";
import DefaultTheme from "vitepress/theme-without-fonts";
import "./style.css";

export default DefaultTheme;
